// From the leaves' gradients to new parameters, over all ranks of a grid: sums through the tree, the norm, AdamW on slices, weights back to everybody.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "optim/adamw.h"
#include "optim/gradient_tree.h"
#include "optim/holding.h"
#include "optim/norm.h"
#include "optim/optim_config.h"
#include "pipeline/engine.h"

namespace tributary {

struct ReducedGradient {
  std::vector<at::Tensor> slices;  // of each own stage, valid until the next start()
  GradientStats stats;
};

// The methods are collective over all ranks of the grid unless they say otherwise.
class GradientReducer {
 public:
  // Keeps references to both.
  GradientReducer(const Holding& holding, const ModelLayout& layout, Reduction reduction);

  // Begins a step: pipeline d owns leaves [bounds[d], bounds[d + 1]). Returns a sink for each own stage. No communication.
  [[nodiscard]] std::vector<GradientSink*> start(const std::vector<std::int64_t>& bounds);

  [[nodiscard]] ReducedGradient reduce();

  // parameters, adam: of each own stage.
  void update(const OptimConfig& config, const UpdateScale& scale, const ReducedGradient& gradient, std::vector<AdamState>& adam,
              const std::vector<at::Tensor>& parameters) const;

  // Of the i-th own stage. No communication.
  [[nodiscard]] std::int64_t offset(std::size_t i) const { return trees_[i].slices().offsets[static_cast<std::size_t>(holding_.slice())]; }
  [[nodiscard]] std::int64_t count(std::size_t i) const { return trees_[i].slices().counts[static_cast<std::size_t>(holding_.slice())]; }
  [[nodiscard]] const ParameterLayout& stage(std::size_t i) const { return layout_.stages[static_cast<std::size_t>(own_[i])].parameters; }
  [[nodiscard]] std::size_t stages() const { return own_.size(); }

 private:
  const Holding& holding_;
  const ModelLayout& layout_;
  std::vector<int> own_;
  NormPlan norm_;
  std::vector<GradientTree> trees_;  // one an own stage
};

}  // namespace tributary
