#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "app/commands.h"
#include "train/evaluate_run.h"

namespace tributary {
namespace {

void print_summary(const std::vector<TaskMetrics>& metrics) {
  fmt::print("{:<24} {:>8} {:>18} {:>10} {:>12}\n", "task", "records", "metric", "model", "class prior");
  // The rest stands in metrics.json.
  constexpr std::array<std::string_view, 8> told{"auroc", "auprc", "f1", "f1_micro", "f1_macro", "log_loss", "mae", "rmse"};
  for (const TaskMetrics& task : metrics) {
    for (const auto& [name, value] : task.values) {
      if (task.kind != TaskKind::masked_token && std::find(told.begin(), told.end(), name) == told.end()) continue;
      const auto prior = std::find_if(task.class_prior.begin(), task.class_prior.end(),
                                      [&, wanted = std::string_view(name)](const auto& entry) { return entry.first == wanted; });
      fmt::print("{:<24} {:>8} {:>18} {:>10} {:>12}\n", task.task, task.records, name, shown(value),
                 prior == task.class_prior.end() ? "" : shown(prior->second));
    }
    if (!task.at_threshold) continue;
    for (const auto& [name, value] : task.at_threshold->values)
      if (name == "f1_micro")
        fmt::print("{:<24} {:>8} {:>18} {:>10} {:>12}\n", task.task, task.records, fmt::format("{} at {:.3f}", name, task.at_threshold->threshold),
                   shown(value), "");
  }
}

}  // namespace

void add_evaluate(CLI::App& root, const Session& session) {
  CLI::App* command = root.add_subcommand("evaluate", "Metrics and predictions of a checkpoint on a data set");
  auto options = std::make_shared<EvaluateOptions>();
  auto split = std::make_shared<std::string>("test");
  command->add_option("--checkpoint", options->checkpoint, "checkpoint, or a run directory (then its newest)")->required();
  command->add_option("--shards", options->shards, "directory of the data set")->required();
  command->add_option("--split", *split, "train, validation, test or all")->check(CLI::IsMember({"train", "validation", "test", "all"}))->capture_default_str();
  command->add_option("--out", options->out, "directory for metrics.json and predictions.csv (without masked tokens, which would give the notes away)")
      ->required();
  command->add_option("--pipeline", options->parallel.pipeline, "ranks that one copy of the model is cut over")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--device", options->device, "what the blocks are computed on, in float32")->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
  command->footer("Example:\n  mpirun -n 2 tributary evaluate --checkpoint runs/a/best --shards runs/shards --split test --out runs/a/test");
  command->callback([&session, options, split] {
    options->split = split_named(*split);
    const std::vector<TaskMetrics> metrics = evaluate_checkpoint(session.world, session.log, *options);
    if (session.world.rank() == 0) {
      print_summary(metrics);
      fmt::print("metrics.json and predictions.csv: {}\n", options->out);
    }
  });
}

}  // namespace tributary
