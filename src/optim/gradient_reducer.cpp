#include "optim/gradient_reducer.h"

#include <fmt/core.h>

#include <utility>

#include "comm/shared_memory.h"
#include "optim/host_exchange.h"
#include "optim/message_exchange.h"
#include "optim/shared_parameters.h"

namespace tributary {
namespace {

// Large enough that a bucket's cost is its bytes, small enough that most of a large model is summed while backward goes on.
constexpr std::int64_t bucket_elements = std::int64_t{1} << 20;

NormPlan norm_of(const Holding& holding, const ModelLayout& layout) {
  std::vector<HeldSlices> held;
  for (const GridPlace& place : holding.grid.places()) held.push_back({holding.stages_of(place.pipeline), place.data});
  return plan_norm(layout, held, holding.slices());
}

}  // namespace

GradientReducer::GradientReducer(const Holding& holding, const ModelLayout& layout, Reduction reduction, const ReducerChoice& choice, at::Device device,
                                 bool sharded, Trace* trace)
    : holding_(holding),
      layout_(layout),
      reduction_(reduction),
      sharded_(sharded || holding.slices() == 1),
      window_(choice.backend == "window"),
      trace_(trace),
      own_(holding.own()),
      norm_(norm_of(holding, layout)),
      team_(choice.teams.at(static_cast<std::size_t>(holding.grid.place().pipeline))) {
  for (const TeamShape& team : choice.teams) writes_.push_back(!sharded_ || choice.backend != "window" || team.local_of(holding.slice()) == 0);
  DeviceWire wire;
  if (choice.backend == "nccl") wire = make_wire(holding.grid.data(), device);
  // Several stages become ready in an order that ranks with unequal numbers of leaves need not share.
  const auto begin = own_.size() == 1 ? MessageExchange::Begin::with_ready : MessageExchange::Begin::with_finish;
  trees_.reserve(own_.size());
  for (const int number : own_) {
    const StageLayout& stage = layout.stages[static_cast<std::size_t>(number)];
    std::vector<ArenaSlices> parts = slice_gradient(layout, number, holding.slices());
    const std::vector<Bucket> buckets = make_buckets(stage, bucket_elements);
    slices_.push_back(parts.front());
    if (choice.backend == "nccl")
      exchanges_.push_back(std::make_unique<MessageExchange>(holding.grid.data(), team_, std::move(parts), buckets, device, wire, begin, trace, number));
    else
      exchanges_.push_back(std::make_unique<HostExchange>(holding.grid.data(), team_, std::move(parts), buckets, trace, number));
    trees_.emplace_back(stage, *exchanges_.back(), buckets, reduction);
  }
}

// Of what place_parameters() makes on this node, by the rank that leads those which share it.
std::size_t GradientReducer::shared_bytes(std::size_t partials) const {
  if (!window_ || team_.local == 1 || team_.local_of(holding_.slice()) != 0) return 0;
  std::int64_t elements = 0;
  for (const int number : own_) {
    const StageLayout& held = layout_.stages[static_cast<std::size_t>(number)];
    elements += static_cast<std::int64_t>(partials) * team_.local * held.gradient + (sharded_ ? held.parameters.total : held.parameters.trainable);
  }
  return static_cast<std::size_t>(elements) * sizeof(float);
}

std::vector<at::Tensor> GradientReducer::place_parameters(const std::vector<at::Tensor>& arenas, std::size_t partials) {
  require_shared_memory(holding_.grid.world(), holding_.grid.node(), shared_bytes(partials), fmt::format("weights and sums of gradients, {} a rank", partials));
  for (const auto& exchange : exchanges_) exchange->reserve(partials);
  std::vector<at::Tensor> placed;
  if (!sharded_) {
    for (std::size_t i = 0; i < own_.size(); ++i) sums_.push_back(exchanges_[i]->place_weights(at::zeros({stage(i).trainable}, arenas[i].options())));
    return arenas;
  }
  for (std::size_t i = 0; i < own_.size(); ++i) placed.push_back(exchanges_[i]->place_weights(arenas[i]));
  return placed;
}

std::vector<GradientSink*> GradientReducer::start(const std::vector<std::int64_t>& bounds) {
  const SumPlan plan = plan_sum(reduction_, bounds, team_);
  const auto slice = static_cast<std::size_t>(holding_.slice());
  std::vector<GradientSink*> sinks;
  for (std::size_t i = 0; i < own_.size(); ++i) {
    exchanges_[i]->start(plan);
    trees_[i].start(bounds.back(), bounds[slice], bounds[slice + 1]);
    sinks.push_back(&trees_[i]);
  }
  return sinks;
}

ReducedGradient GradientReducer::reduce(double loss_scale) {
  std::vector<std::vector<at::Tensor>> parts;
  for (std::size_t i = 0; i < own_.size(); ++i) {
    trees_[i].check_finished();
    const TraceSpan span(trace_, TraceKind::finish_sums, own_[i]);
    parts.push_back(exchanges_[i]->finish());
  }
  add_later_uses(holding_, layout_, parts);
  ReducedGradient gradient;
  for (std::vector<at::Tensor>& of_stage : parts) gradient.slices.push_back(std::move(of_stage.front()));
  {
    const TraceSpan span(trace_, TraceKind::measure_norm);
    gradient.stats = measure_gradient(holding_.grid.world(), norm_, gradient.slices, loss_scale);
  }
  if (!sharded_) gather(gradient.slices);
  return gradient;
}

Range GradientReducer::slice(std::size_t i) const {
  const auto number = static_cast<std::size_t>(holding_.slice());
  return {slices_[i].offsets[number], slices_[i].counts[number]};
}

// Slices of the sum become the whole sum. Nobody reads the one of the step before any more: all have begun this step.
void GradientReducer::gather(std::vector<at::Tensor>& slices) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    const TraceSpan span(trace_, TraceKind::gather_sums, own_[i]);
    const Range own = slice(i);
    sums_[i].narrow(0, own.offset, own.count).copy_(slices[i]);
    exchanges_[i]->share_weights(sums_[i]);
    slices[i] = sums_[i];
  }
}

void GradientReducer::update(const OptimConfig& config, const UpdateScale& scale, const ReducedGradient& gradient, std::vector<AdamState>& adam,
                             const std::vector<at::Tensor>& parameters) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    {
      const TraceSpan span(trace_, TraceKind::optimizer, own_[i]);
      update_slice(stage(i), config, scale, updated(i).offset, gradient.slices[i], adam[i], parameters[i]);
    }
    if (!sharded_) continue;
    const TraceSpan span(trace_, TraceKind::gather_weights, own_[i]);
    exchanges_[i]->share_weights(parameters[i]);
  }
  if (layout_.later.empty()) return;
  const TraceSpan span(trace_, TraceKind::gather_weights);
  share_parameters(holding_, layout_, parameters, writes_);
  for (const auto& exchange : exchanges_) exchange->meet();
}

}  // namespace tributary
