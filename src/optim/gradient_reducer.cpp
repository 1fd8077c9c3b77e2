#include "optim/gradient_reducer.h"

#include <span>
#include <utility>

#include "optim/shared_parameters.h"

namespace tributary {
namespace {

NormPlan norm_of(const Holding& holding, const ModelLayout& layout) {
  std::vector<HeldSlices> held;
  for (const GridPlace& place : holding.grid.places()) held.push_back({holding.stages_of(place.pipeline), place.data});
  return plan_norm(layout, held, holding.slices());
}

}  // namespace

GradientReducer::GradientReducer(const Holding& holding, const ModelLayout& layout, Reduction reduction)
    : holding_(holding), layout_(layout), own_(holding.own()), norm_(norm_of(holding, layout)) {
  trees_.reserve(own_.size());
  for (const int stage : own_) trees_.emplace_back(holding.grid.data(), layout, stage, reduction);
}

std::vector<GradientSink*> GradientReducer::start(const std::vector<std::int64_t>& bounds) {
  std::vector<GradientSink*> sinks;
  for (GradientTree& tree : trees_) {
    tree.start(bounds);
    sinks.push_back(&tree);
  }
  return sinks;
}

ReducedGradient GradientReducer::reduce() {
  std::vector<std::vector<at::Tensor>> parts;
  for (GradientTree& tree : trees_) parts.push_back(tree.reduce());
  add_later_uses(holding_, layout_, parts);
  ReducedGradient gradient;
  std::vector<std::span<const float>> slices;
  for (std::vector<at::Tensor>& of_stage : parts) {
    gradient.slices.push_back(std::move(of_stage.front()));
    slices.emplace_back(gradient.slices.back().const_data_ptr<float>(), static_cast<std::size_t>(gradient.slices.back().numel()));
  }
  gradient.stats = measure_gradient(holding_.grid.world(), norm_, slices);
  return gradient;
}

void GradientReducer::update(const OptimConfig& config, const UpdateScale& scale, const ReducedGradient& gradient, std::vector<AdamState>& adam,
                             const std::vector<at::Tensor>& parameters) const {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    update_slice(stage(i), config, scale, offset(i), gradient.slices[i], adam[i], parameters[i]);
    gather_parameters(holding_.grid.data(), trees_[i].slices(), parameters[i]);
  }
  share_parameters(holding_, layout_, parameters);
}

}  // namespace tributary
