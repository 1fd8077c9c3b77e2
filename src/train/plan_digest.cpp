#include "train/plan_digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/version.h"
#include "schedule/program.h"
#include "train/evaluator.h"
#include "train/run_lock.h"

namespace tributary {
namespace {

PlanPart part(std::string name, const std::string& described) { return {std::move(name), sha256_hex(described)}; }

PlanPart step_done(std::int64_t done) { return {"the step after which the model stands", std::to_string(done)}; }

std::string described(const ParameterSpec& spec) {
  return fmt::format("{} [{}] {} {} {}{}\n", spec.name, fmt::join(spec.shape, ","), static_cast<int>(spec.init), spec.scale, spec.decay ? "decay" : "",
                     spec.trainable ? "" : " frozen");
}

// "0, 1 (node3), 4 (node5)": ranks, each host once.
std::string ranks_and_hosts(const std::vector<std::size_t>& ranks, const std::vector<std::string>& hosts) {
  std::map<std::string, std::vector<std::size_t>> of_host;
  for (const std::size_t rank : ranks) of_host[hosts[rank]].push_back(rank);
  std::vector<std::string> texts;
  for (const auto& [host, some] : of_host) texts.push_back(fmt::format("{} on {}", fmt::join(some, " "), host));
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", fmt::join(texts, ", "));
}

}  // namespace

PlanPart digest_of_program() { return {"the program", program_digest()}; }

PlanPart digest_of_settings(const std::string& toml) { return part("the settings as they were read", toml); }

PlanPart digest_of_data(const Catalogue& catalogue) {
  return part("the catalogue of the data set", to_json(catalogue) + fmt::format("\n{}", fmt::join(catalogue.vocabulary, "\n")));
}

PlanPart digest_of_checkpoint(const Manifest& manifest) { return part("the checkpoint", to_json(manifest)); }

PlanPart digest_of_model(const BlockList& model) {
  std::string text;
  for (const ParameterSpec& spec : model.parameters) text += described(spec);
  for (const BlockSpec& block : model.blocks)
    text += fmt::format("{}: {} -> {} with {}\n", block.name, fmt::join(block.takes, ","), fmt::join(block.gives, ","), fmt::join(block.parameters, ","));
  return part("the blocks of the model", text + fmt::format("{}", fmt::join(model.outputs, ",")));
}

PlanPart digest_of_stages(const ModelLayout& layout, const std::vector<bool>& recompute) {
  std::string text;
  for (const StageLayout& stage : layout.stages) {
    text += fmt::format("blocks {} to {}, {} gradients\n", stage.first, stage.last, stage.gradient);
    for (const ParameterEntry& entry : stage.parameters.entries) text += fmt::format("{} at {}\n", entry.spec.name, entry.offset);
  }
  for (const bool again : recompute) text += again ? '1' : '0';
  return part("the cut of the model into stages", text);
}

PlanPart digest_of_schedule(const ParallelConfig& config, const std::set<std::int64_t>& leaves) {
  const PipelineShape shape = pipeline_shape(config);
  std::string text = fmt::format("{}\n", fmt::join(placement(shape.kind, shape.pipeline), ","));
  for (const std::int64_t count : leaves)
    for (const StepSchedule& step : {step_schedule(shape.kind, shape.pipeline, count), evaluation_schedule(shape.kind, shape.pipeline, count)})
      for (int rank = 0; rank < shape.pipeline.ranks; ++rank) {
        for (const Op& op : program_of(step, rank)) text += to_string(op) + ' ';
        text += '\n';
      }
  return part("the schedule of the pipeline", text);
}

PlanPart digest_of_sums(const GridShape& grid, const ReducerChoice& choice) {
  std::string text = fmt::format("{} x {}, {}\n", grid.data, grid.pipeline, choice.backend);
  for (const TeamShape& team : choice.teams) text += fmt::format("{} nodes of {}\n", team.nodes, team.local);
  return part("how gradients are summed", text);
}

PlanPart digest_of_batches(const BatchPlan& plan, const std::set<std::int64_t>& steps) {
  std::string text;
  for (const std::int64_t number : steps) {
    const StepPlan step = plan.step(number);
    text += fmt::format("step {}: {} leaves, {} records, labels {}\n", step.step, step.leaves, step.records, fmt::join(step.label_counts, ","));
    for (const LeafPlan& leaf : plan.leaves(number, {0, step.leaves})) {
      text += fmt::format("leaf {}:", leaf.leaf);
      for (const RecordPlace& row : leaf.rows) text += fmt::format(" {}/{}", row.part, row.row);
      text += '\n';
    }
  }
  return part("which records form which leaf", text);
}

std::set<std::int64_t> compared_steps(const BatchPlan& plan, std::int64_t next) {
  const std::int64_t every = plan.steps_per_epoch();
  return {next, (next / every + 1) * every - 1};
}

std::set<std::int64_t> leaves_of_pipelines(const BatchPlan& plan, const std::set<std::int64_t>& steps, int pipelines) {
  std::set<std::int64_t> counts;
  for (const std::int64_t step : steps)
    for (int pipeline = 0; pipeline < pipelines; ++pipeline) counts.insert(leaves_of_rank(plan.step(step).leaves, pipelines, pipeline).size());
  return counts;
}

std::set<std::int64_t> leaves_of_evaluation(const BatchPlan& plan, int pipelines, std::int64_t together) {
  std::set<std::int64_t> counts;
  for (const Split split : all_splits)
    for (int pipeline = 0; pipeline < pipelines; ++pipeline) {
      const std::int64_t own = leaves_of_rank(plan.evaluation_leaves(split), pipelines, pipeline).size();
      if (own >= together) counts.insert(together);
      counts.insert(own % together);
    }
  return counts;
}

std::vector<PlanPart> training_plan(const Parallel& parallel, const Network& network, const ReducerChoice& choice, const BatchPlan& plan, std::int64_t done) {
  const GridShape& grid = parallel.grid().shape();
  const std::set<std::int64_t> steps = compared_steps(plan, done);
  std::set<std::int64_t> leaves = leaves_of_pipelines(plan, steps, grid.data);
  leaves.merge(leaves_of_evaluation(plan, grid.data, evaluated_together(grid.pipeline)));
  return {step_done(done),
          digest_of_model(network.model),
          digest_of_stages(network.layout, network.engine.options().recompute),
          digest_of_schedule(parallel.config(), leaves),
          digest_of_sums(grid, choice),
          digest_of_batches(plan, steps)};
}

std::vector<PlanPart> evaluation_plan(const Parallel& parallel, const Network& network, const BatchPlan& plan, std::int64_t done) {
  const GridShape& grid = parallel.grid().shape();
  return {step_done(done), digest_of_model(network.model), digest_of_stages(network.layout, network.engine.options().recompute),
          digest_of_schedule(parallel.config(), leaves_of_evaluation(plan, grid.data, evaluated_together(grid.pipeline)))};
}

std::string plan_differences(const std::vector<std::vector<PlanPart>>& parts, const std::vector<std::string>& hosts) {
  check(parts.size() == hosts.size() && !parts.empty(), "plans of {} ranks on {} hosts", parts.size(), hosts.size());
  std::string lines;
  for (std::size_t p = 0; p < parts.front().size(); ++p) {
    std::vector<std::pair<std::string, std::vector<std::size_t>>> groups;  // in order of their first ranks
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      check(p < parts[rank].size() && parts[rank][p].name == parts.front()[p].name, "rank {} compares other parts of the plan", rank);
      const std::string& digest = parts[rank][p].digest;
      const auto known = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == digest; });
      if (known == groups.end())
        groups.push_back({digest, {rank}});
      else
        known->second.push_back(rank);
    }
    if (groups.size() == 1) continue;
    lines += fmt::format("\n  {}:", parts.front()[p].name);
    for (std::size_t g = 0; g < groups.size(); ++g)
      lines += fmt::format("{} {} ({})", g == 0 ? "" : ";", groups[g].first.substr(0, 12), ranks_and_hosts(groups[g].second, hosts));
  }
  return lines;
}

void require_equal_plans(const Communicator& comm, const std::vector<PlanPart>& parts) {
  nlohmann::json own = {{"host", host_name()}, {"parts", nlohmann::json::array()}};
  for (const PlanPart& one : parts) own["parts"].push_back({one.name, one.digest});
  std::vector<std::vector<PlanPart>> of_ranks;
  std::vector<std::string> hosts;
  for (const std::string& text : comm.all_gather(own.dump())) {
    const auto told = nlohmann::json::parse(text);
    hosts.push_back(told["host"]);
    std::vector<PlanPart>& plan = of_ranks.emplace_back();
    for (const auto& one : told["parts"]) plan.push_back({one[0], one[1]});
  }
  const std::string differences = plan_differences(of_ranks, hosts);
  if (differences.empty()) return;
  throw Error(ErrorKind::launch,
              fmt::format("the ranks do not plan the same run. Settings come from rank 0, so some rank runs another program, other libraries "
                          "or other files: give all nodes the same installation and data (`tributary version` tells what they have). What differs:{}",
                          differences))
      .mark_shared();
}

}  // namespace tributary
