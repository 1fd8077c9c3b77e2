// How this process behaves towards the machine, whatever the command.
#pragma once

namespace tributary {

// Files readable by their owner alone, no core dumps (they would hold record text), a closed pipe is a failed write and not a signal, one compute thread a
// rank, MKL on one fixed code path, and memory that one leaf gave back is kept for the next. Call first in main: ATen and MKL read their settings at first use.
void prepare_process();

}  // namespace tributary
