#include "train/train_step.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "comm/agree.h"
#include "optim/loss_scale.h"
#include "optim/lr_schedule.h"
#include "shards/task_kinds.h"
#include "train/bad_leaves.h"
#include "train/compute.h"
#include "train/evaluator.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

struct GlobalCounts {
  std::vector<double> labels;  // [schema tasks] valid labels of the step (multilabel: cells); 0 for tasks without a head
  bool stop = false;
  double busy_s = 0;  // over all ranks, of the step before
};

struct OwnInput {
  std::optional<StepBatches> step;
  std::exception_ptr failure;  // told to the others before anybody throws
};

OwnInput next_input(Prefetcher& batches, const News& news, Trace* trace) {
  const TraceSpan span(trace, TraceKind::read_batches);
  if (news.failure) return {std::nullopt, news.failure};
  try {
    return {batches.next(), nullptr};
  } catch (...) {
    return {std::nullopt, std::current_exception()};
  }
}

bool predicted(const BlockList& model, std::size_t task) { return std::find(model.tasks.begin(), model.tasks.end(), task) != model.tasks.end(); }

// The one sum before backward: failures of the input, wishes to stop and the numbers of valid labels ride in it together.
// Labels are counted where the last stage is, the one that reads all of them.
GlobalCounts sum_counts(const StepTools& tools, const OwnInput& own, bool stop_wanted, double busy_s) {
  const TraceSpan span(tools.trace, TraceKind::sum_label_counts);
  const std::vector<Task>& tasks = tools.network.schema.tasks;
  const Communicator& world = tools.parallel.grid().world();
  std::vector<std::int64_t> sums{own.failure ? 1 : 0, stop_wanted ? 1 : 0, static_cast<std::int64_t>(busy_s * 1e6)};
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    std::int64_t count = 0;
    if (own.step && tools.parallel.holds_last() && predicted(tools.network.model, t))
      for (const Batch& batch : own.step->batches) count += batch.labels[t].valid.sum().item<std::int64_t>() * tasks[t].label_width();
    sums.push_back(count);
  }
  world.sum(std::span(sums));
  if (sums[0] > 0) agree(world, own.failure);
  GlobalCounts counts{{sums.begin() + 3, sums.end()}, sums[1] > 0, static_cast<double>(sums[2]) * 1e-6};
  for (std::size_t t = 0; t < tasks.size(); ++t)
    if (predicted(tools.network.model, t) && is_stored(tasks[t].kind) &&
        sums[3 + t] != own.step->plan.label_counts[t])  // the same numbers on every rank, so all throw together
      throw Error(ErrorKind::data, fmt::format("step {}: task '{}' has {} valid labels, the record index says {}; run `tributary shards verify`",
                                               own.step->plan.step, tasks[t].name, sums[3 + t], own.step->plan.label_counts[t]))
          .mark_shared();
  return counts;
}

LossScale loss_scale_of(const TrainState& state) { return state.loss_scale > 0 ? LossScale{state.loss_scale, state.loss_scale_good_steps} : LossScale{}; }

std::vector<Leaf> leaves_of(const StepTools& tools, const StepBatches& step, const GlobalCounts& counts, double loss_scale) {
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < step.batches.size(); ++i)
    leaves.push_back({{tools.seed, step.plan.step, step.range.first + static_cast<std::int64_t>(i), true, counts.labels, loss_scale}, &step.batches[i]});
  return leaves;
}

std::vector<std::optional<double>> mean_losses(const StepTools& tools, const std::vector<LeafOutput>& outputs, const GlobalCounts& counts,
                                               const std::vector<std::int64_t>& bounds) {
  const TraceSpan span(tools.trace, TraceKind::sum_losses);
  const BlockList& model = tools.network.model;
  const auto place = std::find(model.outputs.begin(), model.outputs.end(), loss_sums_name) - model.outputs.begin();
  std::vector<double> sums(model.tasks.size());
  if (tools.parallel.holds_last()) {
    std::vector<double> own;
    for (const LeafOutput& output : outputs) {
      const at::Tensor one = output.outputs.at(static_cast<std::size_t>(place)).to(at::kDouble).contiguous();
      own.insert(own.end(), one.data_ptr<double>(), one.data_ptr<double>() + one.numel());
    }
    sums = reduce_scalars(tools.parallel.grid().data(), bounds, static_cast<std::int64_t>(sums.size()), own);
  }
  tools.parallel.tell(sums);
  std::vector<std::optional<double>> means;
  for (std::size_t t = 0; t < sums.size(); ++t) {
    const double count = counts.labels[model.tasks[t]];
    means.push_back(count > 0 ? std::optional<double>(sums[t] / count) : std::nullopt);
  }
  return means;
}

void apply(const StepTools& tools, Training& run, const std::vector<Leaf>& leaves, const ReducedGradient& gradient, StepRecord& record) {
  const GradientStats& stats = gradient.stats;
  const LossScale scale = loss_scale_of(run.state);
  record.gradient_norm = stats.norm;
  record.learning_rate = learning_rate(tools.optim, run.state.step, tools.total_steps);
  record.applied = stats.finite;
  if (stats.finite) {
    tools.watchdog.progress("update and gather parameters", run.state.step + 1);
    tools.reducer.update(tools.optim, {record.learning_rate, clip_factor(stats.norm, tools.optim.clip_norm) / scale.scale}, gradient, run.adam, run.parameters);
    run.state.updates = run.adam.front().updates;
  } else {
    record.bad_part = first_bad_part(tools.network.model, tools.network.layout.whole, stats.bad_blocks);
    tools.watchdog.progress("find the leaves whose gradient is not finite", run.state.step + 1);
    record.bad_leaves = find_bad_leaves(tools.parallel, tools.network.model, tools.network.layout, tools.network.engine,
                                        in_type(run.parameters, compute_type(tools.numerics)), leaves);
  }
  // What a smaller loss scale may cure is no step towards giving up.
  run.state.skipped_in_row = stats.finite ? 0 : run.state.skipped_in_row + (may_back_off(scale) ? 0 : 1);
  run.state.skipped += stats.finite ? 0 : 1;
  if (has_loss_scale(tools.numerics)) {
    const LossScale next = next_loss_scale(scale, stats.finite, tools.numerics);
    run.state.loss_scale = next.scale;
    run.state.loss_scale_good_steps = next.good_steps;
  }
  ++run.state.step;
}

}  // namespace

std::string first_bad_part(const BlockList& model, const ParameterLayout& layout, const std::vector<std::int64_t>& bad_blocks) {
  for (auto block = model.blocks.rbegin(); block != model.blocks.rend(); ++block)
    for (const std::string& name : block->parameters) {
      const ParameterEntry& entry = layout.entries[layout.find(name)];
      const auto bad = std::lower_bound(bad_blocks.begin(), bad_blocks.end(), entry.offset / arena_block);
      if (bad != bad_blocks.end() && *bad < (entry.offset + entry.padded) / arena_block) return fmt::format("block '{}' ({})", block->name, name);
    }
  return "no block";
}

void give_up_when_stuck(const StepRecord& record, const TrainState& state, std::int64_t max_skipped) {
  if (state.skipped_in_row < std::max<std::int64_t>(1, max_skipped)) return;
  throw Error(ErrorKind::numerical,
              fmt::format("step {}: the gradient is not finite in {}, {} step(s) in a row; it began in {}; lower optim.learning_rate or optim.clip_norm, or "
                          "look at the data (the loss of the step is {})",
                          record.step, record.bad_part, state.skipped_in_row, in_words(record.bad_leaves, record.leaves),
                          record.loss ? fmt::format("{}", *record.loss) : "undefined"))
      .mark_shared();
}

StepRecord train_step(const StepTools& tools, Training& run, const News& news, Pace& pace) {
  const TraceStep traced(tools.trace, run.state.step + 1);
  const Stopwatch watch;
  const double waited_before_s = tools.batches.waited_s();
  tools.watchdog.progress("read the batches", run.state.step + 1);
  const OwnInput own = next_input(tools.batches, news, tools.trace);
  tools.watchdog.progress("sum of label counts", run.state.step + 1);
  const GlobalCounts counts = sum_counts(tools, own, news.stop_wanted, pace.busy_s);
  const StepBatches& step = *own.step;
  StepRecord record{run.state.step + 1, step.plan.epoch, step.plan.leaves, step.plan.records};

  tools.watchdog.progress("forward and backward", run.state.step + 1);
  const Stopwatch busy;
  const std::vector<std::int64_t> bounds = leaf_bounds(step.plan.leaves, tools.parallel.grid().shape().data);
  record.loss_scale = loss_scale_of(run.state).scale;
  const std::vector<Leaf> leaves = leaves_of(tools, step, counts, record.loss_scale);
  tools.watchdog.alive("wait until all ranks that share memory begin the step");
  const std::vector<GradientSink*> sinks = tools.reducer.start(bounds);
  const auto outputs =
      tools.network.engine.run(tools.parallel.training(step.range.size()), in_type(run.parameters, compute_type(tools.numerics)), leaves, sinks);
  const double busy_s = busy.elapsed_s();

  tools.watchdog.progress("reduce gradients", run.state.step + 1);
  const ReducedGradient gradient = tools.reducer.reduce(record.loss_scale);
  record.task_losses = mean_losses(tools, outputs, counts, bounds);
  record.loss = total_loss(record.task_losses, tools.network.model, tools.network.schema, tools.task_weights);
  apply(tools, run, leaves, gradient, record);

  record.stop = counts.stop;
  record.seconds = watch.elapsed_s();
  record.efficiency = pace.seconds > 0 ? std::min(1.0, counts.busy_s / (pace.seconds * tools.parallel.grid().world().size())) : 1.0;
  record.input_wait_s = tools.batches.waited_s() - waited_before_s;
  pace = {busy_s, record.seconds};
  return record;
}

}  // namespace tributary
