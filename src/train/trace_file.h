// trace.json in a run directory: what all ranks recorded, in one file.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/log.h"
#include "base/trace.h"
#include "comm/watchdog.h"
#include "optim/holding.h"

namespace tributary {

// Warns of steps asked for that a run from after step `done` to step `total` does not come by. trace: null asks for none.
void tell_untraced(const Log& log, const Trace* trace, std::int64_t done, std::int64_t total);

// Writes what was recorded since it was last called to <folder>/trace.json, which appears whole; nothing where nothing was, or with a null trace. Ranks of
// other machines have their clocks compared with that of rank 0 first. Collective: all ranks of the grid, with traces of the same steps. Throws on all ranks
// together: Error{cannot_create, io}.
void keep_trace(const Holding& holding, const Log& log, Watchdog& watchdog, Trace* trace, const std::filesystem::path& folder);

}  // namespace tributary
