// Rank 0 works alone while the others wait for it and hear that it goes on: to a watchdog, a rank that waits in silence looks as if it hung.
#pragma once

#include <functional>

#include "comm/communicator.h"

namespace tributary {

// Runs `work` on rank 0, which must not communicate on `comm` and calls what it is given as often as it likes, for each part that is done: that calls `alive`
// there, and on the other ranks at most twice a second. Collective: all ranks of `comm`. Blocks: until the work is done. Throws on all ranks together: what
// `work` throws.
void work_alone(const Communicator& comm, const std::function<void()>& alive, const std::function<void(const std::function<void()>& part_done)>& work);

}  // namespace tributary
