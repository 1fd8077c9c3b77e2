#include "train/evaluate_run.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/directory.h"
#include "comm/agree.h"
#include "comm/watchdog.h"
#include "metrics/predictions.h"
#include "train/evaluator.h"
#include "train/network.h"
#include "train/note_cache.h"
#include "train/run_record.h"
#include "train/run_settings.h"

namespace tributary {
namespace {

constexpr FieldSelection ids_only{.statics = false, .series = false, .tokens = false, .text = false, .images = false, .labels = false};

DataSet fitting_data_set(const Communicator& world, const CheckpointHead& head, const EvaluateOptions& options, Verify verify) {
  DataSet data = open_data_set(world, options.shards, verify);
  const std::string differences = schema_differences(head.catalogue, data.catalogue);
  if (!differences.empty())
    throw Error(ErrorKind::data, fmt::format("{} does not fit the model of {}; build it with --like the shards the model was trained on:\n{}", options.shards,
                                             head.path.string(), differences))
        .mark_shared();
  // Shards hold raw units: the model sees them through the statistics and the vocabulary it was trained with.
  data.catalogue.normalisation = head.catalogue.normalisation;
  return data;
}

// The source's own ids of rows in part order; neighbours are read together.
std::vector<std::string> record_ids(const DataSet& data, const std::vector<RecordPlace>& places) {
  const auto source = make_source(data, ids_only);
  std::vector<std::string> ids;
  for (std::size_t begin = 0; begin < places.size();) {
    std::size_t end = begin + 1;
    const auto follows = [&] { return places[end].part == places[begin].part && places[end].row == places[end - 1].row + 1; };
    while (end < places.size() && end - begin < 4096 && follows()) ++end;
    RecordBlock block = source->read(places[begin].part, places[begin].row, static_cast<std::int64_t>(end - begin));
    ids.insert(ids.end(), std::make_move_iterator(block.ids.begin()), std::make_move_iterator(block.ids.end()));
    begin = end;
  }
  return ids;
}

struct SplitResult {
  Split split;
  Evaluation evaluation;
};

std::string predictions_of(const SplitResult& result, const BlockList& model, const DataSet& data) {
  const std::vector<std::string> ids = record_ids(data, result.evaluation.places);
  std::string lines;
  for (std::size_t t = 0; t < model.tasks.size(); ++t) {
    const Task& task = data.catalogue.schema.tasks[model.tasks[t]];
    const TaskScores& scores = result.evaluation.scores[t];
    const auto outputs = static_cast<std::size_t>(task.output_width()), labels = static_cast<std::size_t>(task.label_width());
    for (std::size_t row = 0; row < ids.size(); ++row)
      lines += prediction_lines(ids[row], name_of(result.split), task, std::span(scores.probability).subspan(row * outputs, outputs),
                                std::span(scores.label).subspan(row * labels, labels), scores.valid[row] != 0);
  }
  return lines;
}

// All splits as one, for the metrics.
Evaluation joined(const std::vector<SplitResult>& results) {
  Evaluation all;
  for (const SplitResult& result : results) {
    all.scores.resize(result.evaluation.scores.size());
    for (std::size_t t = 0; t < all.scores.size(); ++t) {
      const TaskScores& from = result.evaluation.scores[t];
      TaskScores& into = all.scores[t];
      into.probability.insert(into.probability.end(), from.probability.begin(), from.probability.end());
      into.label.insert(into.label.end(), from.label.begin(), from.label.end());
      into.valid.insert(into.valid.end(), from.valid.begin(), from.valid.end());
    }
  }
  return all;
}

void write_results(const EvaluateOptions& options, const CheckpointHead& head, const std::vector<SplitResult>& results, const Network& network,
                   const DataSet& data, const std::vector<TaskMetrics>& metrics) {
  std::string predictions = predictions_header();
  nlohmann::ordered_json json = {
      {"checkpoint", head.path.string()}, {"checkpoint_digest", head.manifest.content_digest()}, {"step", head.state.step},
      {"shards", options.shards},         {"data_digest", data.catalogue.content_digest},        {"split", options.split ? name_of(*options.split) : "all"}};
  for (const SplitResult& result : results) {
    predictions += predictions_of(result, network.model, data);
    json["records"][std::string(name_of(result.split))] = result.evaluation.places.size();
    if (result.evaluation.loss) json["loss"][std::string(name_of(result.split))] = *result.evaluation.loss;
  }
  json.update(nlohmann::ordered_json::parse(metrics_json(metrics)));
  const std::filesystem::path out = options.out;
  make_directories(out);
  write_file(out / "predictions.csv", predictions);
  write_file(out / "metrics.json", json.dump(2) + "\n");
}

}  // namespace

std::vector<TaskMetrics> evaluate_checkpoint(const Communicator& world, const Log& log, const EvaluateOptions& options) {
  const CheckpointHead head = open_checkpoint(world, agreed(world, [&] { return resolve_checkpoint(options.checkpoint); }));
  const LoadedSettings loaded = agreed(world, [&] { return parse_run_settings(head.config_toml, (head.path / config_file).string(), {}); });
  const RunSettings& settings = loaded.settings;
  const DataSet data = fitting_data_set(world, head, options, verify_named(settings.data.verify));
  const auto made = agreed(world, [&] { return std::make_unique<Network>(settings.model, settings.data.window_tokens, data.catalogue); });
  const Network& network = *made;
  const LoadedTensors tensors = load_tensors(world, head, network.layout, std::nullopt);
  const BatchPlan plan = agreed(world, [&] { return BatchPlan(data.index, data.catalogue.schema.tasks, plan_options(settings)); });
  const FieldSelection fields = agreed(world, [&] { return fields_of(data.catalogue.schema, settings.data, network.model); });
  const Collator collator = agreed(world, [&] { return make_collator(data, settings.data, fields); });
  const auto source = agreed(world, [&] { return make_source(data, fields); });
  Watchdog watchdog(world, static_cast<double>(settings.run.watchdog_s), {});
  const auto machines = gather_machines(world);
  const auto cache = open_note_cache(world, log, {settings, data, network, tensors.parameters, bits_depend_on(machines.front()), [&] { watchdog.alive(); }},
                                     CacheBuild::nothing);
  const EvaluationTools tools{world, data, plan, *source, collator, network.model, network.engine, settings.model.heads.weight, watchdog, cache.get()};

  std::vector<SplitResult> results;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    if ((options.split && *options.split != split) || data.index.rows(split) == 0) continue;
    results.push_back({split, evaluate_split(tools, tensors.parameters, split, head.state.step)});
  }
  if (results.empty())
    throw Error(ErrorKind::data, fmt::format("{} has no records in split \"{}\"", options.shards, options.split ? name_of(*options.split) : "all"))
        .mark_shared();
  watchdog.progress("write metrics and predictions", head.state.step);
  return agreed(world, [&] {
    if (log.rank() != 0) return std::vector<TaskMetrics>();
    std::vector<TaskMetrics> metrics = metrics_of(joined(results), network.model, data.catalogue, true);
    write_results(options, head, results, network, data, metrics);
    return metrics;
  });
}

}  // namespace tributary
