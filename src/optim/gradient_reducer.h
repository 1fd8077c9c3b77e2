// From the leaves' gradients to new parameters, over all ranks of a grid: sums through the tree, the norm, AdamW. Sharded, each rank updates its
// slice and the weights go back to everybody; else the sum goes to everybody, and each rank updates all weights of its stages.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/trace.h"
#include "optim/adamw.h"
#include "optim/gradient_tree.h"
#include "optim/holding.h"
#include "optim/norm.h"
#include "optim/optim_config.h"
#include "optim/reducer_choice.h"
#include "optim/slice_exchange.h"

namespace tributary {

struct ReducedGradient {
  std::vector<at::Tensor> slices;  // of each own stage what this rank updates, as large as reduce() was told; valid until the next start()
  GradientStats stats;
};

// The methods are collective over all ranks of the grid unless they say otherwise.
class GradientReducer {
 public:
  // Keeps references to holding and layout. `choice`: as choose_reducer() of the grid and the device, on which gradients and weights lie; a GPU is the one
  // that use_gpu() gave this rank. sharded: as OptimConfig. trace: takes spans of sums and updates; null: none.
  GradientReducer(const Holding& holding, const ModelLayout& layout, Reduction reduction, const ReducerChoice& choice, at::Device device, bool sharded,
                  Trace* trace = nullptr);

  // The arenas of the own stages, where update() can work on them: ranks of a node may see the same memory. partials: the most SumPlan::buffers of any step to
  // come; memory for them is taken here, so that no step fails for want of it (0: each takes what it is short of). Once, before the first step.
  // Throws: Error{launch}, on all ranks together, when a node has too little shared memory for sums and weights of all its ranks.
  [[nodiscard]] std::vector<at::Tensor> place_parameters(const std::vector<at::Tensor>& arenas, std::size_t partials = 0);

  // Begins a step: pipeline d owns leaves [bounds[d], bounds[d + 1]). Returns a sink for each own stage.
  [[nodiscard]] std::vector<GradientSink*> start(const std::vector<std::int64_t>& bounds);

  // loss_scale: the leaves' gradients are so many times too large (LeafContext); the slices stay so, the norm does not.
  [[nodiscard]] ReducedGradient reduce(double loss_scale = 1);

  // parameters: as place_parameters(); adam: of each own stage.
  void update(const OptimConfig& config, const UpdateScale& scale, const ReducedGradient& gradient, std::vector<AdamState>& adam,
              const std::vector<at::Tensor>& parameters);

  // Of the i-th own stage, without communication: what this rank updates and has moments of.
  [[nodiscard]] Range updated(std::size_t i) const { return sharded_ ? slice(i) : Range{0, stage(i).trainable}; }
  // Its slice, sharded or not: those of all ranks that hold the stage are apart and together the whole.
  [[nodiscard]] Range slice(std::size_t i) const;
  [[nodiscard]] const ParameterLayout& stage(std::size_t i) const { return layout_.stages[static_cast<std::size_t>(own_[i])].parameters; }
  [[nodiscard]] std::size_t stages() const { return own_.size(); }

 private:
  [[nodiscard]] std::size_t shared_bytes(std::size_t partials) const;
  void gather(std::vector<at::Tensor>& slices);

  const Holding& holding_;
  const ModelLayout& layout_;
  Reduction reduction_;
  bool sharded_, window_;  // partial sums and weights lie in memory that ranks of a node share
  Trace* trace_;
  std::vector<int> own_;
  NormPlan norm_;
  TeamShape team_;            // of the ranks that hold the same stages
  std::vector<bool> writes_;  // [places of this pipeline] the rank there writes what its stages borrow: one of those that see the same memory
  std::vector<ArenaSlices> slices_;
  std::vector<std::unique_ptr<SliceExchange>> exchanges_;  // one an own stage
  std::vector<GradientTree> trees_;
  std::vector<at::Tensor> sums_;  // whole, of each own stage, where not sharded
};

}  // namespace tributary
