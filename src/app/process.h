// How this process behaves towards the machine, whatever the command.
#pragma once

namespace tributary {

// Files readable by their owner alone, no core dumps (they would hold record text), a closed pipe is a failed write and not a signal, one compute thread a
// rank, and MKL on one fixed code path. Call first in main: ATen and MKL read their settings at first use.
void prepare_process();

}  // namespace tributary
