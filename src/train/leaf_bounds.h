// Which leaves each rank owns, as the bounds that the reductions over leaves take.
#pragma once

#include <cstdint>
#include <vector>

#include "batches/batch_plan.h"

namespace tributary {

// [ranks + 1]: rank r owns leaves [bounds[r], bounds[r + 1]).
[[nodiscard]] inline std::vector<std::int64_t> leaf_bounds(std::int64_t leaves, int ranks) {
  std::vector<std::int64_t> bounds{0};
  for (int r = 0; r < ranks; ++r) bounds.push_back(leaves_of_rank(leaves, ranks, r).last);
  return bounds;
}

}  // namespace tributary
