#include "train/pipeline_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <span>

#include "base/error.h"
#include "batches/prefetcher.h"
#include "comm/agree.h"
#include "model/registry.h"
#include "optim/tree.h"
#include "schedule/drawing.h"
#include "train/evaluator.h"

namespace tributary {
namespace {

constexpr std::int64_t measured_leaves = 4;
constexpr double gib = 1024.0 * 1024 * 1024;

// Partial sums that a rank holds at most beside the first.
double more_partial_sums(const PlanQuestion& question) {
  if (question.settings.numerics.reduction == "fast") return 0;
  const std::int64_t leaves = question.leaves * question.data_ranks;
  std::size_t most = 1;
  for (int d = 0; d < question.data_ranks; ++d) {
    const LeafRange range = leaves_of_rank(leaves, question.data_ranks, d);
    most = std::max(most, peak_values(leaves, range.first, range.last));
  }
  return static_cast<double>(most - 1);
}

PartitionProblem problem_of(const PlanQuestion& question) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  PartitionProblem problem;
  problem.graph = graph_of(question.model);
  problem.blocks = question.costs;
  for (const ParameterSpec& spec : question.model.parameters) problem.parameter_bytes[spec.name] = spec.count() * static_cast<std::int64_t>(sizeof(float));
  const bool sharded = question.settings.optim.sharded || question.data_ranks == 1;
  problem.state = {sharded ? 1.0 : 2.0, more_partial_sums(question), 2, sharded ? question.data_ranks : 1};  // not sharded: the sum is whole on every rank too
  problem.rank_of_stage = placement(kind, pipeline);
  const StepSchedule step = step_schedule(kind, pipeline, question.leaves);
  for (int s = 0; s < pipeline.stages(); ++s) {
    std::vector<std::int64_t> only(static_cast<std::size_t>(pipeline.stages()), 0);
    only[static_cast<std::size_t>(s)] = 1;
    problem.live.push_back(peak_live(step.ranks[static_cast<std::size_t>(problem.rank_of_stage[static_cast<std::size_t>(s)])], only));
  }
  problem.link = {5e9, 10e-6};  // of ranks that share memory; between nodes it is slower, and a pipeline stays inside a node where it fits
  problem.memory_limit_bytes = static_cast<std::int64_t>(question.settings.parallel.memory_limit * gib);
  return problem;
}

StepSchedule step_of(const PlanQuestion& question) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  return step_schedule(kind, pipeline, question.leaves);
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string mebibytes(std::int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / (1024 * 1024)); }

}  // namespace

std::vector<BlockCost> measure_run(const RunSettings& settings, const Compute& compute, const DataSet& data) {
  const Schema schema = schema_of_model(settings.model, data.catalogue.schema);
  const BlockList model = build_model(settings.model, data.catalogue.schema, static_cast<std::int64_t>(data.catalogue.vocabulary.size()));
  const BatchPlan plan(data.index, schema.tasks, plan_options(settings, model));
  std::vector<BatchField> read;
  for (const BlockSpec& block : model.blocks) read.insert(read.end(), block.reads.begin(), block.reads.end());
  const FieldSelection fields = fields_of(data.catalogue.schema, settings.data, read, model.marked_pairs.has_value());
  const Collator collator = make_collator(data, schema, settings.data, fields, model.marked_pairs);
  const auto source = make_source(data, fields);
  Prefetcher prefetcher(plan, data.index, *source, collator, {1, 0, 0, 1});
  const StepBatches step = prefetcher.next();
  std::vector<Leaf> leaves;
  const std::vector<double> counts(schema.tasks.size(), 1.0);
  for (std::size_t i = 0; i < step.batches.size() && i < measured_leaves; ++i)
    leaves.push_back({{0, 0, static_cast<std::int64_t>(i), true, counts}, &step.batches[i]});
  const ParameterLayout layout = make_layout(model.parameters);
  const at::Tensor arena = make_arena(layout, at::kFloat);
  initialise(layout, arena, static_cast<std::uint64_t>(settings.train.seed));
  return measure_blocks(model, arena.to(compute.device, compute.type), leaves);
}

namespace {

std::vector<BlockCost> told_by_rank_0(const Communicator& world, const BlockList& model, std::vector<BlockCost> costs) {
  for (std::size_t b = 0; b < costs.size(); ++b) {
    BlockCost& cost = costs[b];
    cost.gives_bytes.resize(model.blocks[b].gives.size());
    for (double* seconds : {&cost.forward_s, &cost.backward_input_s, &cost.backward_weight_s})
      world.broadcast(std::as_writable_bytes(std::span(seconds, 1)), 0);
    world.broadcast(std::as_writable_bytes(std::span(&cost.activation_bytes, 1)), 0);
    world.broadcast(std::as_writable_bytes(std::span(cost.gives_bytes)), 0);
  }
  return costs;
}

std::vector<std::string> marked_names(const BlockList& model, const std::vector<bool>& marks) {
  std::vector<std::string> names;
  for (std::size_t b = 0; b < marks.size(); ++b)
    if (marks[b]) names.push_back(model.blocks[b].name);
  return names;
}

// What parallel.recompute = ["auto"] came to.
std::string automatic_choice(const ParallelConfig& config, const BlockList& model, const std::vector<bool>& marks) {
  if (config.memory_limit <= 0) return "parallel.recompute = [\"auto\"]: no block is recomputed, for parallel.memory_limit sets no limit";
  const std::vector<std::string> names = marked_names(model, marks);
  return fmt::format("parallel.recompute = [\"auto\"]: {} of {} blocks are recomputed to keep parallel.memory_limit = {} GiB{}{}", names.size(),
                     model.blocks.size(), config.memory_limit, names.empty() ? "" : ": ", fmt::join(names, ", "));
}

}  // namespace

ModelCut cut_for(const Communicator& world, const Log& log, const RunSettings& settings, const Compute& compute, const DataSet& data, const GridShape& grid) {
  const ParallelConfig& parallel = settings.parallel;
  const BlockList model =
      agreed(world, [&] { return build_model(settings.model, data.catalogue.schema, static_cast<std::int64_t>(data.catalogue.vocabulary.size())); });
  const bool given = !parallel.partition.empty(), cut = pipeline_shape(parallel).pipeline.stages() > 1, measured = (cut && !given) || parallel.memory_limit > 0;
  const std::vector<BlockCost> costs = told_by_rank_0(
      world, model,
      agreed(world, [&] { return world.rank() == 0 && measured ? measure_run(settings, compute, data) : std::vector<BlockCost>(model.blocks.size()); }));
  return agreed(world, [&] {
    const std::int64_t leaves = std::max<std::int64_t>(1, settings.train.global_batch / settings.train.micro_batch / grid.data);
    const StagePlan plan = plan_stages({settings, model, costs, grid.data, leaves});
    if (cut)
      log.once("stages of {} blocks{}", fmt::join(counts_of_cut(plan.partition.cut, model.blocks.size()), ", "),
               given ? "" : fmt::format(", chosen from measured costs: the slowest takes {} ms a leaf", milliseconds(plan.partition.slowest_s)));
    if (recompute_is_automatic(parallel)) log.once("{}", automatic_choice(parallel, model, plan.recompute));
    return ModelCut{plan.partition.cut, plan.recompute};
  });
}

StagePlan plan_stages(const PlanQuestion& question) {
  const PartitionProblem problem = problem_of(question);
  const ParallelConfig& parallel = question.settings.parallel;
  std::optional<Cut> given;
  if (!parallel.partition.empty()) given = cut_of_counts(parallel.partition, question.model.blocks.size(), problem.rank_of_stage.size());
  if (recompute_is_automatic(parallel)) return choose_recompute(problem, recomputable_blocks(question.model), given);
  const std::vector<bool> marks = recomputed_blocks(parallel, question.model);
  return {partition_of(with_recomputing(problem, marks), given), marks};
}

Timeline plan_timeline(const PlanQuestion& question, const Partition& partition) {
  StepCosts costs;
  for (const StagePrice& stage : partition.stages) costs.stages.push_back({stage.forward_s, stage.backward_input_s, stage.backward_weight_s});
  for (const BoundaryPrice& boundary : partition.boundaries) costs.boundaries.push_back({boundary.forward_s, boundary.gradient_s});
  return simulate(step_of(question), costs);
}

std::string plan_report(const PlanQuestion& question, const StagePlan& plan, const Timeline& timeline) {
  const Partition& partition = plan.partition;
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  std::string text =
      fmt::format("{:<24} {:>12} {:>12} {:>12} {:>14} {:>12}\n", "block (a leaf)", "forward ms", "input ms", "weights ms", "activation MiB", "weights MiB");
  std::map<std::string, std::int64_t> bytes;
  for (const ParameterSpec& spec : question.model.parameters) bytes[spec.name] = spec.count() * static_cast<std::int64_t>(sizeof(float));
  for (std::size_t b = 0; b < question.model.blocks.size(); ++b) {
    const BlockCost& cost = question.costs[b];
    std::int64_t weights = 0;
    for (const std::string& name : question.model.blocks[b].parameters) weights += bytes[name];
    text += fmt::format("{:<24} {:>12} {:>12} {:>12} {:>14} {:>12}{}\n", question.model.blocks[b].name, milliseconds(cost.forward_s),
                        milliseconds(cost.backward_input_s), milliseconds(cost.backward_weight_s), mebibytes(cost.activation_bytes), mebibytes(weights),
                        plan.recompute[b] ? "  recomputed" : "");
  }
  text += fmt::format("\n{:<8} {:>6} {:>20} {:>12} {:>12}\n", "stage", "rank", "blocks", "leaf ms", "sends ms");
  for (std::size_t s = 0; s < partition.stages.size(); ++s) {
    const StagePrice& stage = partition.stages[s];
    text += fmt::format("{:<8} {:>6} {:>20} {:>12} {:>12}\n", s, stage.rank, fmt::format("{} to {}", stage.first, stage.last - 1), milliseconds(stage.total_s),
                        milliseconds(stage.send_s));
  }
  text += fmt::format("\n{:<8} {:>12} {:>14} {:>18} {:>14} {:>16} {:>10}\n", "rank MiB", "weights", "gradients", "partial sums", "optimizer", "activations",
                      "idle");
  for (std::size_t r = 0; r < partition.ranks.size(); ++r) {
    const MemoryNeed& need = partition.ranks[r];
    text += fmt::format("{:<8} {:>12} {:>14} {:>18} {:>14} {:>16} {:>9.1f}%\n", r, mebibytes(need.weights), mebibytes(need.gradients),
                        mebibytes(need.partial_sums), mebibytes(need.optimizer), mebibytes(need.activations), 100 * timeline.idle_share[r]);
  }
  text += fmt::format("\nparallel.partition = [{}]{}\n", fmt::join(counts_of_cut(partition.cut, question.model.blocks.size()), ", "),
                      partition.proven ? "" : "  (a faster cut within the memory limit may exist)");
  if (recompute_is_automatic(question.settings.parallel)) text += automatic_choice(question.settings.parallel, question.model, plan.recompute) + "\n";
  text += fmt::format("{} x {}, {}, {} stage{} a rank, {} leaves a step and pipeline: {} ms a step, bubble {:.1f} %\n", question.data_ranks, pipeline.ranks,
                      kind.name, pipeline.chunks, pipeline.chunks == 1 ? "" : "s", question.leaves, milliseconds(timeline.span_s), 100 * timeline.bubble());
  if (const std::string why = fall_back(kind, pipeline, question.leaves); !why.empty()) text += why + "\n";
  return text;
}

std::string plan_picture(const PlanQuestion& question, const Timeline& timeline) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  TimelinePicture picture{std::string(kind.name), pipeline.ranks, pipeline.chunks, question.leaves, timeline.bubble(), {}};
  for (std::size_t r = 0; r < timeline.ranks.size(); ++r)
    for (const TimedAction& timed : timeline.ranks[r])
      picture.bars.push_back({static_cast<int>(r), timed.action.stage, timed.action.leaf, timed.action.kind, timed.begin_s, timed.end_s});
  return draw_timeline(picture);
}

}  // namespace tributary
