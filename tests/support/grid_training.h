// The core of training on any grid: engine, tree, shared parameters, norm, clipping, AdamW; what comes out is gathered whole on every rank.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "optim/gradient_reducer.h"
#include "optim/loss_scale.h"
#include "optim/lr_schedule.h"
#include "schedule/graph.h"
#include "support/two_blocks.h"
#include "train/compute.h"
#include "train/leaf_bounds.h"
#include "train/parallel.h"

namespace tributary::testing_support {

struct TrainingResult {
  at::Tensor parameters, first, second;  // of the whole model
  std::vector<double> losses, norms;     // of a step that was skipped the norm is 0
  std::int64_t skipped = 0;
  [[nodiscard]] std::string digest() const {
    Sha256 sha;
    for (const at::Tensor& t : {parameters, first, second}) sha.update(t.data_ptr<float>(), static_cast<std::size_t>(t.numel()) * sizeof(float));
    for (const auto* numbers : {&losses, &norms}) sha.update(numbers->data(), numbers->size() * sizeof(double));
    return hex(sha.finish());
  }
};

struct TrainingCase {
  BlockList model;
  Reduction reduction = Reduction::exact;
  std::int64_t steps = 20;
  std::int64_t (*leaves)(std::int64_t step) = [](std::int64_t) -> std::int64_t { return 8; };
  std::string reducer = "auto";
  std::vector<int> nodes = {};  // of every rank, in place of the real ones
  bool sharded = true;
  NumericsConfig numerics = {};  // precision and loss scale
};

// Moments of the whole model, from the slices of all ranks, or from this one alone where it has them whole.
inline at::Tensor gather_moments(const Parallel& parallel, const ModelLayout& layout, const std::vector<at::Tensor>& slices, bool sharded) {
  std::vector<at::Tensor> arenas;
  const std::vector<int> own = parallel.holding().own();
  for (std::size_t i = 0; i < own.size(); ++i) {
    const ParameterLayout& stage = layout.stages[static_cast<std::size_t>(own[i])].parameters;
    const ArenaSlices places = slice_arena(stage.trainable, parallel.holding().slices());
    const auto slice = static_cast<std::size_t>(parallel.holding().slice());
    arenas.push_back(make_arena(stage, at::kFloat));
    if (!sharded) {
      arenas.back().narrow(0, 0, stage.trainable).copy_(slices[i]);
      continue;
    }
    arenas.back().narrow(0, places.offsets[slice], places.counts[slice]).copy_(slices[i]);
    parallel.grid().data().all_gather_in_place(std::span(arenas.back().data_ptr<float>(), static_cast<std::size_t>(stage.trainable)), places.counts,
                                               places.offsets);
  }
  return parallel.whole_arena(layout, arenas);
}

// As parallel.partition says, or stages of nearly equal numbers of blocks.
inline Cut cut_of(const ParallelConfig& config, const BlockList& model) {
  const auto stages = static_cast<std::size_t>(config.pipeline * config.virtual_stages);
  if (!config.partition.empty()) return cut_of_counts(config.partition, model.blocks.size(), stages);
  Cut cut;
  for (std::size_t s = 0; s < stages; ++s) cut.push_back(s * model.blocks.size() / stages);
  return cut;
}

// The last leaf of a step is one row shorter.
inline TrainingResult train_on_grid(const Parallel& parallel, const TrainingCase& given) {
  const BlockList& model = given.model;
  const ModelLayout layout = lay_out(model, cut_of(parallel.config(), model));
  const Engine engine(model, layout, parallel.place(), {recomputed_blocks(parallel.config(), model)});
  const ProcessGrid& grid = parallel.grid();
  // What sums on GPUs does the same with messages in host memory.
  const at::DeviceType chosen_for = given.reducer == "nccl" ? at::kCUDA : at::kCPU;
  const ReducerChoice choice = choose_reducer(given.reducer, chosen_for, grid.shape(), grid.places(), given.nodes.empty() ? grid.nodes() : given.nodes);
  GradientReducer reducer(parallel.holding(), layout, given.reduction, choice, at::kCPU, given.sharded);
  OptimConfig config;
  config.warmup_steps = 3;
  config.clip_norm = 0.05;
  const at::Tensor whole = make_arena(layout.whole, at::kFloat);
  initialise(layout.whole, whole, 5);
  const std::vector<at::Tensor> parameters = reducer.place_parameters(cut_arena(layout, whole, parallel.holding().own()));
  std::vector<AdamState> adam;
  for (std::size_t i = 0; i < reducer.stages(); ++i) adam.push_back(make_adam_state(reducer.updated(i).count));
  const auto data = static_cast<std::size_t>(grid.place().data);
  LossScale scale = first_loss_scale(given.numerics);
  TrainingResult result;
  for (std::int64_t step = 0; step < given.steps; ++step) {
    const std::int64_t leaves = given.leaves(step);
    const auto bounds = leaf_bounds(leaves, grid.shape().data);
    std::vector<Batch> batches;
    std::vector<Leaf> own;
    batches.reserve(static_cast<std::size_t>(leaves));
    for (std::int64_t leaf = bounds[data]; leaf < bounds[data + 1]; ++leaf) {
      batches.push_back(random_batch(step, leaf, leaf + 1 == leaves ? 3 : 4));
      own.push_back({{5, step, leaf, true, {static_cast<double>(4 * leaves - 1)}, scale.scale}, &batches.back()});
    }
    const std::vector<GradientSink*> sinks = reducer.start(bounds);
    const std::vector<at::Tensor> weights = in_type(parameters, compute_type(given.numerics));
    const auto outputs = engine.run(parallel.training(static_cast<std::int64_t>(own.size())), weights, own, sinks);
    std::vector<double> sums, total{0.0};
    for (const LeafOutput& output : outputs) sums.push_back(output.outputs[0].item<double>());
    if (parallel.holds_last()) total = reduce_scalars(grid.data(), bounds, 1, sums);
    parallel.tell(total);
    result.losses.push_back(total[0] / static_cast<double>(4 * leaves - 1));
    const ReducedGradient gradient = reducer.reduce(scale.scale);
    const bool finite = gradient.stats.finite;
    EXPECT_TRUE(finite || may_back_off(scale)) << "step " << step;
    result.norms.push_back(finite ? gradient.stats.norm : 0);
    result.skipped += finite ? 0 : 1;
    const UpdateScale update{learning_rate(config, step, given.steps), clip_factor(gradient.stats.norm, config.clip_norm) / scale.scale};
    if (finite) reducer.update(config, update, gradient, adam, parameters);
    scale = next_loss_scale(scale, finite, given.numerics);
  }
  result.parameters = parallel.whole_arena(layout, parameters);
  std::vector<at::Tensor> first, second;
  for (const AdamState& state : adam) {
    first.push_back(state.first);
    second.push_back(state.second);
  }
  result.first = gather_moments(parallel, layout, first, given.sharded);
  result.second = gather_moments(parallel, layout, second, given.sharded);
  return result;
}

// On this rank alone.
inline TrainingResult train_alone(const TrainingCase& given) {
  const ProcessGrid grid(Communicator::self(), {1, 1});
  const ParallelConfig config;
  return train_on_grid(Parallel(grid, config), given);
}

inline void expect_equal(const TrainingResult& found, const TrainingResult& wanted, const std::string& what) {
  EXPECT_TRUE(at::equal(found.parameters, wanted.parameters)) << what;
  EXPECT_TRUE(at::equal(found.first, wanted.first)) << what;
  EXPECT_TRUE(at::equal(found.second, wanted.second)) << what;
  EXPECT_EQ(found.losses, wanted.losses) << what;
  EXPECT_EQ(found.norms, wanted.norms) << what;
  EXPECT_EQ(found.digest(), wanted.digest()) << what;
}

}  // namespace tributary::testing_support
