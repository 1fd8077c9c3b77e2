// The search for a cut within limits: on the time of every stage and on the memory of every rank. Pure.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "schedule/stage_costs.h"

namespace tributary {

struct CutLimits {
  double stage_s = std::numeric_limits<double>::infinity();
  std::int64_t rank_bytes = std::numeric_limits<std::int64_t>::max();
};

struct CutAnswer {
  std::optional<Cut> cut;
  bool proven = true;  // without a cut: there is none; false: the search took too many steps
};

// Of all cuts within the limits the one whose stages are, from the first on, nearest to an even share of what is left (partition.h).
[[nodiscard]] CutAnswer find_cut(const StageCosts& costs, const CutLimits& limits);

// The one with the fastest slowest stage. proven: no faster one exists.
[[nodiscard]] CutAnswer fastest_cut(const StageCosts& costs, std::int64_t rank_bytes);

// One whose neediest rank needs the least, to a thousandth; more than `too_little` bytes are known to be needed.
[[nodiscard]] CutAnswer smallest_cut(const StageCosts& costs, std::int64_t too_little);

// Of the slowest stage; of the neediest rank.
[[nodiscard]] double slowest_s(const StageCosts& costs, const Cut& cut);
[[nodiscard]] std::int64_t most_bytes(const StageCosts& costs, const Cut& cut);

}  // namespace tributary
