#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/error.h"
#include "base/files.h"
#include "base/version.h"
#include "batches/pair_sequences.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/directory.h"
#include "checkpoint/serving/export.h"
#include "comm/agree.h"
#include "ingest/tokenizer.h"
#include "ingest/tokenizer_file.h"
#include "model/registry.h"
#include "train/evaluate_run.h"
#include "train/run_settings.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct ExportOptions {
  std::string checkpoint, out, metrics;
};

OrderedJson channels_json(const std::vector<Channel>& channels, const std::vector<ChannelStatistics>& statistics) {
  OrderedJson list = OrderedJson::array();
  for (std::size_t c = 0; c < channels.size(); ++c) {
    list.push_back({{"name", channels[c].name}, {"unit", channels[c].unit}, {"mean", statistics[c].mean}, {"deviation", statistics[c].deviation}});
  }
  return list;
}

// Of a relation task also which pairs it is about, and the threshold on 1 - p(first class) that validation chose.
OrderedJson tasks_json(const Schema& schema, const std::vector<std::size_t>& tasks, const std::map<std::string, double>& thresholds) {
  OrderedJson list = OrderedJson::array();
  for (const std::size_t t : tasks) {
    const Task& task = schema.tasks[t];
    OrderedJson& entry = list.emplace_back(OrderedJson::object({{"name", task.name}, {"kind", name_of(task.kind)}, {"classes", task.classes}}));
    if (task.kind != TaskKind::relation) continue;
    entry["directed"] = task.directed;
    entry["candidates"] = OrderedJson::array();
    for (const TypePair& pair : task.candidates)
      entry["candidates"].push_back({schema.concept_types[static_cast<std::size_t>(pair.head)], schema.concept_types[static_cast<std::size_t>(pair.tail)]});
    if (const auto threshold = thresholds.find(task.name); threshold != thresholds.end()) entry["threshold"] = threshold->second;
  }
  return list;
}

// What a server does to a record before the model sees it; `Collator` is the reference.
OrderedJson preprocessing_json(const Catalogue& catalogue, const DataConfig& data, const std::optional<std::size_t>& marked_pairs) {
  const Schema& schema = catalogue.schema;
  OrderedJson document = {{"steps", schema.steps}, {"step_hours", 1}, {"clip", data.clip}, {"imputation", data.imputation}, {"leave_out", data.leave_out}};
  document["normalisation"] = "x = (value - mean) / deviation, limited to +- clip; not observed: imputation (series), 0 (static)";
  document["delta"] = "hours since the channel's last measurement, min(., 48) / 48; 1 if never measured";
  document["static"] = channels_json(schema.statics, catalogue.normalisation.statics);
  document["series"] = OrderedJson::array();
  for (std::size_t g = 0; g < schema.series.size(); ++g) {
    document["series"].push_back({{"name", schema.series[g].name}, {"channels", channels_json(schema.series[g].channels, catalogue.normalisation.series[g])}});
  }
  document["image"] = {{"channels", schema.image.channels}, {"height", schema.image.height}, {"width", schema.image.width}, {"scale", 1.0 / 255}};
  if (schema.notes) {
    const SpecialTokens special = special_tokens(catalogue.vocabulary);
    document["notes"] = {{"tokenizer", OrderedJson::parse(to_json(catalogue.tokenizer))},
                         {"tokenizer_digest", catalogue.tokenizer_digest},
                         {"vocabulary", "vocab.txt"},
                         {"special", {{"pad", special.pad}, {"unknown", special.unknown}, {"cls", special.cls}, {"sep", special.sep}, {"mask", special.mask}}},
                         {"window_tokens", data.window_tokens},
                         {"window_stride", data.window_stride},
                         {"notes_per_record", data.notes_per_record},
                         {"tokens_per_note", data.tokens_per_note}};
  }
  if (marked_pairs) {
    const std::vector<std::string>& markers = marker_tokens();
    document["pairs"] = {{"task", schema.tasks[*marked_pairs].name},
                         {"head_markers", {markers[0], markers[1]}},
                         {"tail_markers", {markers[2], markers[3]}},
                         {"sequence",
                          "[CLS] and [SEP] around the notes, one after the other, with a marker before and one behind each mention of both concepts; a "
                          "longer one is cut to window_tokens around the closest mentions of the two"}};
  }
  return document;
}

OrderedJson config_json(const CheckpointHead& head, RunSettings& settings, const BlockList& model, const ParameterLayout& layout) {
  const Configuration architecture(sections_of(settings.model));
  return {{"format", "tributary-model"},
          {"version", 1},
          {"program", program_version()},
          {"step", head.state.step},
          {"parameters", layout.trainable_count()},
          {"vocabulary_size", head.catalogue.vocabulary.size()},
          {"architecture", OrderedJson::parse(architecture.to_json())},
          {"tasks", tasks_json(schema_of_model(settings.model, head.catalogue.schema), model.tasks, stored_thresholds(head.manifest))},
          {"checkpoint_digest", head.manifest.content_digest()},
          {"data_digest", head.catalogue.content_digest}};
}

std::string metrics_text(const CheckpointHead& head, const ExportOptions& options) {
  std::string text;
  if (head.state.has_best) text += fmt::format("Best validation value: {:.6g} at step {}.\n", head.state.best_value, head.state.best_step);
  if (!head.state.validations.empty()) {
    text += "\n| step | validation |\n|---:|---:|\n";
    for (const Validation& v : head.state.validations) text += fmt::format("| {} | {:.6g} |\n", v.step, v.value);
  }
  if (!options.metrics.empty()) {
    try {
      text += fmt::format("\nEvaluation (`{}`):\n\n```json\n{}\n```\n", std::filesystem::path(options.metrics).filename().string(),
                          OrderedJson::parse(read_file(options.metrics)).dump(1));
    } catch (const OrderedJson::exception& error) {
      fail(ErrorKind::data, "{}: not JSON: {}", options.metrics, error.what());
    }
  }
  return text.empty() ? "Not evaluated yet.\n" : text;
}

std::string card(const CheckpointHead& head, const ExportOptions& options, const RunSettings& settings, const BlockList& model, const ParameterLayout& layout) {
  const Catalogue& catalogue = head.catalogue;
  const Schema schema = schema_of_model(settings.model, catalogue.schema);
  std::string tasks;
  for (const std::size_t t : model.tasks) tasks += fmt::format("- `{}` ({})\n", schema.tasks[t].name, name_of(schema.tasks[t].kind));
  return fmt::format(
      "# Model card\n\n"
      "Family `{}`, {} trainable parameters, trained for {} steps with Tributary {}.\n\n"
      "## Tasks\n{}\n"
      "## Data\nOrigin: {}. Records: {} train, {} validation, {} test, split by patient. Content digest `{}`.\n\n"
      "## Metrics\n{}\n"
      "## Use\n"
      "`model.safetensors` holds the weights, `config.json` the architecture, `preprocessing.json` what is done to a record first; "
      "`encoder/`, where there is one, opens with `AutoModel` of transformers, that of family `text_mlm` with `AutoModelForMaskedLM` too. The model was fitted "
      "to the data\n"
      "named above; on other patients, hospitals or coding habits it must be evaluated anew. Not a medical device; not for decisions about patients.\n",
      settings.model.model.family, layout.trainable_count(), head.state.step, head.manifest.program, tasks, catalogue.origin, catalogue.rows(Split::train),
      catalogue.rows(Split::validation), catalogue.rows(Split::test), catalogue.content_digest, metrics_text(head, options));
}

bool has_encoder(const ParameterLayout& layout) {
  return std::any_of(layout.entries.begin(), layout.entries.end(), [](const ParameterEntry& entry) { return entry.spec.name.starts_with("encoder."); });
}

void run_export(const Session& session, const ExportOptions& options) {
  const auto path = agreed(session.world, [&] { return resolve_checkpoint(options.checkpoint); });
  const CheckpointHead head = open_checkpoint(session.world, path);
  RunSettings settings = agreed(session.world, [&] { return parse_run_settings(head.config_toml, (path / config_file).string(), {}).settings; });
  const BlockList model =
      agreed(session.world, [&] { return build_model(settings.model, head.catalogue.schema, static_cast<std::int64_t>(head.catalogue.vocabulary.size())); });
  const ParameterLayout layout = make_layout(model.parameters);
  const LoadedTensors tensors = std::move(load_tensors(session.world, head, layout, {{layout}}, false).front());
  agreed(session.world, [&] {
    if (session.world.rank() != 0) return;
    const bool text = head.catalogue.schema.notes;
    const TokenizerSpec tokenizer{head.catalogue.vocabulary, head.catalogue.tokenizer};
    const ExportContents contents{layout,
                                  tensors.parameters,
                                  {{"format", "pt"}, {"checkpoint_digest", head.manifest.content_digest()}},
                                  config_json(head, settings, model, layout).dump(1) + "\n",
                                  preprocessing_json(head.catalogue, settings.data, model.marked_pairs).dump(1) + "\n",
                                  head.catalogue.vocabulary,
                                  card(head, options, settings, model, layout),
                                  text ? tokenizer_json(tokenizer) : "",
                                  text ? tokenizer_config_json(tokenizer) : "",
                                  has_encoder(layout) ? &settings.model.text : nullptr};
    export_model(options.out, contents);
    fmt::print("{}: exported from {} (step {})\n", options.out, path.string(), head.state.step);
  });
}

}  // namespace

void add_export(CLI::App& root, const Session& session) {
  CLI::App* command =
      root.add_subcommand("export", "Write a checkpoint for servers: model.safetensors, config.json, preprocessing.json, tokenizer, encoder/, model card");
  const auto options = std::make_shared<ExportOptions>();
  command->add_option("--checkpoint", options->checkpoint, "checkpoint, or run directory (then its newest)")->required();
  command->add_option("--out", options->out, "directory to write; must not exist, or be empty")->required();
  command->add_option("--metrics", options->metrics, "metrics.json of `tributary evaluate`, for the model card");
  command->footer(
      "Example:\n  tributary export --checkpoint runs/quickstart/run/best --out runs/quickstart/export --metrics runs/quickstart/test/metrics.json");
  command->callback([&session, options] { run_export(session, *options); });
}

}  // namespace tributary
