#include "train/evaluate_run.h"

#include <algorithm>
#include <array>
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
#include "train/name_waits.h"
#include "train/network.h"
#include "train/note_cache.h"
#include "train/pipeline_plan.h"
#include "train/plan_digest.h"
#include "train/run_record.h"
#include "train/run_settings.h"

namespace tributary {
namespace {

bool evaluates(const EvaluateOptions& options, const DataSet& data, Split split) {
  return (!options.split || *options.split == split) && data.index.rows(split) > 0;
}

DataSet fitting_data_set(const Communicator& world, const CheckpointHead& head, const EvaluateOptions& options, Verify verify, Watchdog& watchdog) {
  watchdog.progress("open the data set", head.state.step);
  DataSet data = open_data_set(world, options.shards, verify, [&] { watchdog.alive(); });
  agreed(world, [&] {
    const std::string differences = schema_differences(head.catalogue, data.catalogue);
    if (!differences.empty())
      fail(ErrorKind::data, "{} does not fit the model of {}; build it with --like the shards the model was trained on:\n{}", options.shards,
           head.path.string(), differences);
    if (std::none_of(all_splits.begin(), all_splits.end(), [&](Split split) { return evaluates(options, data, split); }))
      fail(ErrorKind::data,
           "{} has no records in split \"{}\", so that there is nothing to evaluate; name another split (--split) or another data set (--shards)",
           options.shards, options.split ? name_of(*options.split) : "all");
  });
  // Shards hold raw units: the model sees them through the statistics and the vocabulary it was trained with.
  data.catalogue.normalisation = head.catalogue.normalisation;
  return data;
}

struct RecordNames {
  std::string id;                     // the source's own
  std::vector<std::string> concepts;  // ids of the record's concepts, where they are wanted
};

RecordNames names_of(RecordBlock& block, std::size_t row) {
  RecordNames names{std::move(block.ids[row]), {}};
  const EntityColumns& entities = block.entities;
  if (entities.concept_offsets.empty()) return names;
  for (auto k = static_cast<std::size_t>(entities.concept_offsets[row]); k < static_cast<std::size_t>(entities.concept_offsets[row + 1]); ++k) {
    const auto begin = static_cast<std::size_t>(entities.concept_id_offsets[k]), end = static_cast<std::size_t>(entities.concept_id_offsets[k + 1]);
    names.concepts.push_back(entities.concept_ids.substr(begin, end - begin));
  }
  return names;
}

// Of rows in part order; neighbours are read together.
std::vector<RecordNames> record_names(const DataSet& data, const std::vector<RecordPlace>& places, bool with_concepts) {
  const FieldSelection fields{.statics = false, .series = false, .tokens = false, .text = false, .images = false, .labels = false, .entities = with_concepts};
  const auto source = make_source(data, fields);
  std::vector<RecordNames> names;
  for (std::size_t begin = 0; begin < places.size();) {
    std::size_t end = begin + 1;
    const auto follows = [&] { return places[end].part == places[begin].part && places[end].row == places[end - 1].row + 1; };
    while (end < places.size() && end - begin < 4096 && follows()) ++end;
    RecordBlock block = source->read(places[begin].part, places[begin].row, static_cast<std::int64_t>(end - begin));
    for (std::size_t row = 0; row < end - begin; ++row) names.push_back(names_of(block, row));
    begin = end;
  }
  return names;
}

struct SplitResult {
  Split split;
  Evaluation evaluation;
};

// What stands for each row of the scores: the record's id, or that of a pair of its concepts.
std::vector<std::string> row_ids(const TaskScores& scores, const Task& task, const std::vector<RecordPlace>& places, const std::vector<RecordNames>& names) {
  std::vector<std::string> ids;
  if (task.kind != TaskKind::relation) {
    for (const RecordNames& name : names) ids.push_back(name.id);
    return ids;
  }
  std::size_t at = 0;
  for (const PairPlace& pair : scores.pairs) {
    while (at < places.size() && !(places[at] == pair.record)) ++at;
    check(at < places.size(), "pairs of task {} are not in the order of their records", task.name);
    const std::vector<std::string>& concepts = names[at].concepts;
    ids.push_back(pair_id(names[at].id, concepts.at(static_cast<std::size_t>(pair.head)), concepts.at(static_cast<std::size_t>(pair.tail))));
  }
  return ids;
}

std::string predictions_of(const SplitResult& result, const Network& network, const DataSet& data) {
  const std::vector<Task>& tasks = network.schema.tasks;
  const BlockList& model = network.model;
  const bool relations = std::any_of(model.tasks.begin(), model.tasks.end(), [&](std::size_t task) { return tasks[task].kind == TaskKind::relation; });
  const std::vector<RecordNames> names = record_names(data, result.evaluation.places, relations);
  std::string lines;
  for (std::size_t t = 0; t < model.tasks.size(); ++t) {
    const Task& task = tasks[model.tasks[t]];
    if (task.kind == TaskKind::masked_token) continue;  // a line for each token would give the notes away
    const TaskScores& scores = result.evaluation.scores[t];
    const std::vector<std::string> ids = row_ids(scores, task, result.evaluation.places, names);
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
    for (std::size_t t = 0; t < all.scores.size(); ++t) all.scores[t].append(result.evaluation.scores[t]);
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
    predictions += predictions_of(result, network, data);
    json["records"][std::string(name_of(result.split))] = result.evaluation.places.size();
    if (result.evaluation.loss) json["loss"][std::string(name_of(result.split))] = *result.evaluation.loss;
  }
  json.update(nlohmann::ordered_json::parse(metrics_json(metrics)));
  const std::filesystem::path out = options.out;
  make_directories(out);
  write_file(out / "predictions.csv", predictions);
  write_file(out / "metrics.json", json.dump(2) + "\n");
}

// How long the evaluation may wait stands in the checkpoint: until then the default holds.
CheckpointHead open_watched(const Communicator& world, const std::string& checkpoint) {
  Watchdog watchdog(world, static_cast<double>(RunConfig().watchdog_s), {});
  watchdog.progress("open the checkpoint", 0);
  return open_checkpoint(world, agreed(world, [&] { return resolve_checkpoint(checkpoint); }));
}

// Another grid than that of the training: the numbers are the same.
RunSettings settings_of_evaluation(RunSettings settings, const EvaluateOptions& options) {
  std::vector<std::int64_t> partition = std::move(settings.parallel.partition);
  settings.parallel = options.parallel;
  // Where it fits nothing is measured, which rank 0 needs the whole model for.
  if (static_cast<std::int64_t>(partition.size()) == options.parallel.pipeline) settings.parallel.partition = std::move(partition);
  settings.run.device = options.device;
  settings.run.share_gpu = options.share_gpu;
  settings.numerics.precision = "fp32";
  return settings;
}

std::vector<at::Tensor> load_parameters(const Communicator& world, const CheckpointHead& head, const ModelLayout& layout, const std::vector<int>& own,
                                        at::Device device) {
  std::vector<StageWish> wishes;
  for (const int stage : own) wishes.push_back({layout.stages[static_cast<std::size_t>(stage)].parameters});
  std::vector<at::Tensor> parameters;
  for (LoadedTensors& loaded : load_tensors(world, head, layout.whole, wishes, false)) parameters.push_back(loaded.parameters.to(device));
  return parameters;
}

std::vector<SplitResult> evaluate_splits(const EvaluationTools& tools, const std::vector<at::Tensor>& parameters, const EvaluateOptions& options,
                                         std::int64_t step) {
  std::vector<SplitResult> results;
  for (const Split split : all_splits)
    if (evaluates(options, tools.data, split)) results.push_back({split, evaluate_split(tools, parameters, split, step)});
  return results;
}

}  // namespace

std::map<std::string, double> stored_thresholds(const Manifest& manifest) {
  std::map<std::string, double> thresholds;
  const auto extra = nlohmann::json::parse(manifest.extra_json);
  const auto tasks = nlohmann::json::json_pointer("/validation/metrics/tasks");
  if (!extra.contains(tasks)) return thresholds;
  for (const auto& [name, task] : extra.at(tasks).items())
    if (const auto found = task.find("best_threshold"); found != task.end() && found->is_number()) thresholds[name] = found->get<double>();
  return thresholds;
}

std::vector<TaskMetrics> evaluate_checkpoint(const Communicator& world, const Log& log, const EvaluateOptions& options) {
  const CheckpointHead head = open_watched(world, options.checkpoint);
  const LoadedSettings given = agreed(world, [&] { return parse_run_settings(head.config_toml, (head.path / config_file).string(), {}); });
  const RunSettings settings = settings_of_evaluation(given.settings, options);
  Watchdog watchdog(world, static_cast<double>(settings.run.watchdog_s), {});
  require_equal_plans(world, agreed(world, [&] {
                        return std::vector{digest_of_program(), digest_of_settings(head.config_toml), digest_of_checkpoint(head.manifest)};
                      }));
  const DataSet data = fitting_data_set(world, head, options, verify_named(settings.data.verify), watchdog);
  watchdog.progress("make the model", head.state.step);
  const ProcessGrid grid(world.split(0, world.rank()), grid_shape(world.size(), settings.parallel.data, static_cast<int>(settings.parallel.pipeline)));
  const Parallel parallel(grid, settings.parallel);
  const Compute compute = prepare_compute(settings, grid);
  const auto alive = [&] { watchdog.alive(); };
  const Cut cut = cut_for(grid, log, settings, compute, data, Workload::evaluation, alive).first_blocks;
  const auto made = agreed(world, [&] {
    return std::make_unique<Network>(settings.model, settings.data.window_tokens, data.catalogue, parallel, cut, EngineOptions{{}, name_waits(watchdog, grid)});
  });
  const Network& network = *made;
  const BatchPlan plan = agreed(world, [&] { return BatchPlan(data.index, network.schema.tasks, plan_options(settings, network.model)); });
  watchdog.progress("compare the plans of all ranks", head.state.step);
  require_equal_plans(world, agreed(world, [&] { return evaluation_plan(parallel, network, plan, head.state.step); }));
  watchdog.progress("load the checkpoint", head.state.step);
  const std::vector<at::Tensor> parameters = load_parameters(world, head, network.layout, parallel.holding().own(), compute.device);
  const FieldSelection fields = agreed(world, [&] {
    return fields_of(data.catalogue.schema, settings.data, parallel.fields(network.model, network.layout), network.model.marked_pairs.has_value());
  });
  const Collator collator = agreed(world, [&] { return make_collator(data, network.schema, settings.data, fields, network.model.marked_pairs); });
  const auto source = agreed(world, [&] { return make_source(data, fields); });
  const auto machines = gather_machines(world, compute.gpu);
  const auto whole = [&] { return parallel.whole_arena(network.layout, parameters); };
  const auto cache = open_note_cache(world, log, {settings, data, network, compute, whole, bits_depend_on(machines.front()), alive}, CacheBuild::nothing);
  const EvaluationTools tools{parallel, data, plan, *source, collator, network, settings.model.heads.weight, watchdog, fields.tokens ? cache.get() : nullptr};
  const std::vector<SplitResult> results = evaluate_splits(tools, parameters, options, head.state.step);
  watchdog.progress("write metrics and predictions", head.state.step);
  return agreed(world, [&] {
    if (log.rank() != 0) return std::vector<TaskMetrics>();
    std::vector<TaskMetrics> metrics = metrics_of(joined(results), network, data.catalogue, true, stored_thresholds(head.manifest));
    write_results(options, head, results, network, data, metrics);
    return metrics;
  });
}

}  // namespace tributary
