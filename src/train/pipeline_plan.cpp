#include "train/pipeline_plan.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "comm/agree.h"
#include "model/registry.h"
#include "optim/sum_plan.h"
#include "schedule/program.h"
#include "train/block_costs.h"
#include "train/evaluator.h"
#include "train/leaf_bounds.h"
#include "train/plan_digest.h"

namespace tributary {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

// How much of a gradient the neediest rank of a team takes from others into memory of its own.
double received_share(const SumPlan& plan, const ReducerChoice& sums, const TeamShape& team) {
  std::size_t left = 0;
  for (const SumPlan::Node& node : plan.nodes) left += node.left.size();
  double share = 0;
  for (int n = 0; n < team.nodes; ++n) {
    const SumPlan::Node& node = plan.nodes[static_cast<std::size_t>(n)];
    const double between = static_cast<double>(left - node.left.size()) / (team.nodes * team.local);  // of the rank's own slice
    share = std::max(share, between);
    if (sums.backend != "nccl") continue;  // else the ranks of the node see each other's sums
    for (int rank = n * team.local; rank < (n + 1) * team.local; ++rank) {
      const auto others = std::count_if(node.values.begin(), node.values.end(), [&](const PartialSum& value) { return value.rank != rank; });
      share = std::max(share, between + static_cast<double>(others) / team.local);  // of the slices of all ranks of this one's number
    }
  }
  return share;
}

PartitionProblem problem_of(const PlanQuestion& question) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  PartitionProblem problem;
  problem.graph = graph_of(question.model);
  problem.blocks = question.costs;
  for (const ParameterSpec& spec : question.model.parameters) problem.parameter_bytes[spec.name] = spec.count() * static_cast<std::int64_t>(sizeof(float));
  problem.state = state_factors(question);
  problem.rank_of_stage = placement(kind, pipeline);
  problem.live.assign(problem.rank_of_stage.size(), 0);
  for (const std::int64_t leaves : question.leaves()) {  // more leaves can need less: where a smaller number does not fit the schedule
    const StepSchedule step = step_schedule(kind, pipeline, leaves);
    for (std::size_t s = 0; s < problem.live.size(); ++s) {
      std::vector<std::int64_t> only(problem.live.size(), 0);
      only[s] = 1;
      problem.live[s] = std::max(problem.live[s], peak_live(step.ranks[static_cast<std::size_t>(problem.rank_of_stage[s])], only));
    }
  }
  problem.link = {5e9, 10e-6};  // of ranks that share memory; between nodes it is slower, and a pipeline stays inside a node where it fits
  problem.memory_limit_bytes = static_cast<std::int64_t>(question.settings.parallel.memory_limit * gib);
  return problem;
}

std::vector<std::string> marked_names(const BlockList& model, const std::vector<bool>& marks) {
  std::vector<std::string> names;
  for (std::size_t b = 0; b < marks.size(); ++b)
    if (marks[b]) names.push_back(model.blocks[b].name);
  return names;
}

PlanQuestion question_of(const ProcessGrid& grid, const RunSettings& settings, const BlockList& model, const Compute& compute, const DataSet& data,
                         Workload workload, std::vector<BlockCost> costs) {
  const GridShape& shape = grid.shape();
  if (workload == Workload::evaluation) return {settings, model, std::move(costs), shape.data, {shape.data * evaluated_together(shape.pipeline)}};
  const Schema schema = schema_of_model(settings.model, data.catalogue.schema);
  const BatchPlan plan(data.index, schema.tasks, plan_options(settings, model));
  return {settings,
          model,
          std::move(costs),
          shape.data,
          leaves_of_steps(plan, settings.train),
          choose_reducer(settings.parallel.reducer, compute.device.type(), shape, grid.places(), grid.nodes())};
}

}  // namespace

std::set<std::int64_t> PlanQuestion::leaves() const {
  std::set<std::int64_t> counts;
  for (const std::int64_t step : steps)
    for (int d = 0; d < data_ranks; ++d) counts.insert(leaves_of_rank(step, data_ranks, d).size());
  return counts;
}

std::set<std::int64_t> leaves_of_steps(const BatchPlan& plan, const TrainConfig& train) {
  const std::int64_t epoch = plan.steps_per_epoch(), run = train.steps > 0 ? train.steps : train.epochs * epoch;
  std::set<std::int64_t> counts;
  for (std::int64_t step = 0; step < std::min<std::int64_t>(run, plan.options().token_budget > 0 ? 16 : 1); ++step) counts.insert(plan.step(step).leaves);
  if (epoch <= run) counts.insert(plan.step(epoch - 1).leaves);
  return counts;
}

ModelCut cut_for(const ProcessGrid& grid, const Log& log, const RunSettings& settings, const Compute& compute, const DataSet& data, Workload workload,
                 const std::function<void()>& alive) {
  const Communicator& world = grid.world();
  const ParallelConfig& parallel = settings.parallel;
  const BlockList model = agreed(world, [&] {
    if (workload == Workload::training) require_training_records(data);
    return build_model(settings.model, data.catalogue.schema, static_cast<std::int64_t>(data.catalogue.vocabulary.size()));
  });
  require_equal_plans(world, {digest_of_model(model)});  // costs travel as so many numbers as there are blocks
  const bool given = !parallel.partition.empty(), cut = pipeline_shape(parallel).pipeline.stages() > 1;
  const bool measured = (cut && !given) || parallel.memory_limit > 0;
  std::vector<BlockCost> costs = measured ? measured_by_rank_0(world, settings, model, compute, data, workload, alive) : no_costs(model);
  return agreed(world, [&] {
    const PlanQuestion question = question_of(grid, settings, model, compute, data, workload, std::move(costs));
    const StagePlan plan = plan_stages(question);
    if (cut)
      log.once("stages of {} blocks{}", fmt::join(counts_of_cut(plan.partition.cut, model.blocks.size()), ", "),
               given ? "" : fmt::format(", chosen from measured costs: the slowest takes {:.3f} ms a leaf", 1e3 * plan.partition.slowest_s));
    if (recompute_is_automatic(parallel)) log.once("{}", automatic_choice(question, plan.recompute));
    return ModelCut{plan.partition.cut, plan.recompute};
  });
}

StateFactors state_factors(const PlanQuestion& question) {
  const RunSettings& settings = question.settings;
  const bool sharded = settings.optim.sharded || question.data_ranks == 1;
  StateFactors factors{sharded ? 1.0 : 2.0, 0, 2, sharded ? question.data_ranks : 1};  // not sharded: the sum is whole on every rank too
  const at::ScalarType type = compute_type(settings.numerics);
  factors.rounded = type == at::kFloat ? 0 : static_cast<double>(c10::elementSize(type)) / sizeof(float);
  const Reduction reduction = settings.numerics.reduction == "fast" ? Reduction::fast : Reduction::exact;
  for (const std::int64_t step : question.steps)
    for (const TeamShape& team : question.sums.teams) {
      const SumPlan plan = plan_sum(reduction, leaf_bounds(step, question.data_ranks), team);
      factors.partial_sums = std::max(factors.partial_sums, static_cast<double>(plan.buffers) - 1);
      factors.received = std::max(factors.received, received_share(plan, question.sums, team));
    }
  return factors;
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
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  StepCosts costs;
  for (const StagePrice& stage : partition.stages) costs.stages.push_back({stage.forward_s, stage.backward_input_s, stage.backward_weight_s});
  for (const BoundaryPrice& boundary : partition.boundaries) costs.boundaries.push_back({boundary.forward_s, boundary.gradient_s});
  return simulate(step_schedule(kind, pipeline, question.most_leaves()), costs);
}

std::string automatic_choice(const PlanQuestion& question, const std::vector<bool>& recompute) {
  const double limit = question.settings.parallel.memory_limit;
  if (limit <= 0) return "parallel.recompute = \"auto\": no block is recomputed, for parallel.memory_limit sets no limit";
  const std::vector<std::string> names = marked_names(question.model, recompute);
  return fmt::format("parallel.recompute = \"auto\": {} of {} blocks are recomputed to keep parallel.memory_limit = {} GiB{}{}", names.size(),
                     question.model.blocks.size(), limit, names.empty() ? "" : ": ", fmt::join(names, ", "));
}

}  // namespace tributary
