// Who of a job is missing where one rank waits, as its watchdog's report says it.
#pragma once

#include <chrono>
#include <string>

#include "comm/progress_table.h"

namespace tributary {

struct MissingRanks {
  std::string summary;  // "missing ranks: ..."
  std::string lines;    // where every other rank of the node is, and the missing ones of other nodes; each begins with a line break
};

// `quiet`: who gives no sign of life for as long is stopped.
[[nodiscard]] MissingRanks missing_ranks(const ProgressTable& table, int rank, std::chrono::milliseconds quiet);

}  // namespace tributary
