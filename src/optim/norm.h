// The global gradient norm with the same bits on any grid of ranks, and whether all of it is finite.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "optim/slices.h"

namespace tributary {

// What a rank of the world holds: the stages of its place in the pipeline, and which slice of each.
struct HeldSlices {
  std::vector<int> stages;  // ascending
  int slice = 0;            // its number among the ranks that hold the same stages
};

// Where the sums of the ranks' arena blocks belong in the whole model.
struct NormPlan {
  std::vector<std::int64_t> counts, offsets;  // [ranks] how many each rank gives; where they stand when gathered
  std::vector<std::int64_t> places;           // [gathered] block of ModelLayout::whole
};

// Pure. held: of every rank; slices: ranks that hold the same stages.
[[nodiscard]] NormPlan plan_norm(const ModelLayout& layout, const std::vector<HeldSlices>& held, int slices);

struct GradientStats {
  double norm = 0;
  bool finite = true;                    // the same verdict on every rank: formed from the same numbers
  std::vector<std::int64_t> bad_blocks;  // of ModelLayout::whole, with a value that is not finite, ascending
};

// [blocks] Each arena block's sum of squares, double, in host memory. A block's bits depend on its values alone, never on how many blocks stand beside it; they
// are not the same on a GPU as on a CPU. slice: float, on any device.
[[nodiscard]] at::Tensor block_squares(const at::Tensor& slice);

// The blocks' sums all-gathered and added in the order of the whole model. `slices`: this rank's, stages ascending; of a gradient `scale` times as large as it
// should be. Collective: all ranks that the plan was made for.
[[nodiscard]] GradientStats measure_gradient(const Communicator& comm, const NormPlan& plan, const std::vector<at::Tensor>& slices, double scale = 1);

// What gradients are multiplied with so that their norm is at most `clip_norm` (0: no limit); exactly 1 where nothing is clipped.
[[nodiscard]] double clip_factor(double norm, double clip_norm);

}  // namespace tributary
