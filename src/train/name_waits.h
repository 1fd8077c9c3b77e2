// The watchdog hears of each operation of a pipeline what it is, of which leaf, and which rank it needs.
#pragma once

#include <functional>

#include "comm/process_grid.h"
#include "comm/watchdog.h"
#include "schedule/program.h"

namespace tributary {

// For EngineOptions::before. Keeps a reference to the watchdog.
[[nodiscard]] inline std::function<void(const Op&, std::int64_t)> name_waits(Watchdog& watchdog, const ProcessGrid& grid) {
  return [&watchdog, ranks = grid.ranks_of_pipeline()](const Op& op, std::int64_t first_leaf) { watchdog.alive(in_words(op, first_leaf, ranks)); };
}

}  // namespace tributary
