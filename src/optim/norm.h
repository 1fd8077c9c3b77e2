// The global gradient norm with the same bits on any number of ranks, and whether all of it is finite.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "optim/gradient_tree.h"

namespace tributary {

struct GradientStats {
  double norm = 0;
  bool finite = true;                    // the same verdict on every rank: formed from the same numbers
  std::vector<std::int64_t> bad_blocks;  // arena blocks with a value that is not finite, ascending
};

// Each arena block's sum of squares in double, all-gathered, added in arena order. Collective: all ranks.
[[nodiscard]] GradientStats measure_gradient(const Communicator& comm, const ArenaSlices& slices, std::span<const float> slice);

// What gradients are multiplied with so that their norm is at most `clip_norm` (0: no limit); exactly 1 where nothing is clipped.
[[nodiscard]] double clip_factor(double norm, double clip_norm);

}  // namespace tributary
