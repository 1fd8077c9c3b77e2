#include "shards/catalogue.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "shards/part_layout.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view zero_digest = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr std::string_view digest_key = "\"self_digest\": \"";

OrderedJson json_of(const std::vector<Channel>& channels) {
  OrderedJson list = OrderedJson::array();
  for (const Channel& channel : channels) list.push_back({{"name", channel.name}, {"unit", channel.unit}});
  return list;
}

OrderedJson json_of(const Schema& schema) {
  OrderedJson series = OrderedJson::array(), tasks = OrderedJson::array();
  for (const SeriesGroup& group : schema.series) series.push_back({{"name", group.name}, {"channels", json_of(group.channels)}});
  for (const Task& task : schema.tasks) {
    OrderedJson entry = {{"name", task.name}, {"kind", name_of(task.kind)}, {"classes", task.classes}};
    if (task.kind == TaskKind::relation) {
      entry["directed"] = task.directed;
      entry["candidates"] = OrderedJson::array();
      for (const TypePair& pair : task.candidates) entry["candidates"].push_back(OrderedJson::array({pair.head, pair.tail}));
    }
    tasks.push_back(std::move(entry));
  }
  return {{"steps", schema.steps},
          {"static", json_of(schema.statics)},
          {"series", series},
          {"notes", schema.notes},
          {"image", {schema.image.channels, schema.image.height, schema.image.width}},
          {"tasks", tasks},
          {"concept_types", schema.concept_types}};
}

OrderedJson json_of(const std::vector<ChannelStatistics>& statistics) {
  OrderedJson list = OrderedJson::array();
  for (const ChannelStatistics& s : statistics) list.push_back({{"mean", s.mean}, {"deviation", s.deviation}, {"count", s.count}});
  return list;
}

std::string_view missing_policy(const PartColumn& column) {
  switch (column.field) {
    case Field::static_values:
    case Field::series_values:
      return "0 where observed is 0";
    case Field::image:
      return "0 where presence bit 3 is not set";
    case Field::label_values:
      return "0 where valid is 0";
    default:
      return "never missing";
  }
}

// For readers without this program; follows from the schema, so it is written and compared, never parsed.
OrderedJson json_of_fields(const Schema& schema, const std::string& tokenizer_digest) {
  constexpr std::array<std::string_view, axis_count> axes{"records",  "id bytes",         "notes",    "text bytes", "tokens",
                                                          "concepts", "concept id bytes", "mentions", "relations"};
  OrderedJson list = OrderedJson::array();
  for (const PartColumn& column : part_columns(schema, tokenizer_digest)) {
    OrderedJson shape = {std::string(axes[static_cast<std::size_t>(column.axis)]) + (column.offsets_into ? " + 1" : "")};
    for (const std::int64_t dim : column.inner) shape.push_back(dim);
    list.push_back({{"path", column.path}, {"dtype", name_of(column.type)}, {"shape", shape}, {"missing", missing_policy(column)}});
  }
  return list;
}

OrderedJson json_of(const PartInfo& part) {
  return {{"file", part.file},
          {"rows", part.rows},
          {"size_bytes", part.size_bytes},
          {"block_digests", part.block_digests},
          {"file_digest", part.file_digest},
          {"content_digest", part.content_digest}};
}

std::string vocabulary_text(const std::vector<std::string>& vocabulary) {
  std::string text;
  for (const std::string& token : vocabulary) text += token + '\n';
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// Names the key that is missing or of another type; the library's own messages cite neither.
template <class Value>
Value value_at(const OrderedJson& json, const char* key, const std::string& where) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  if (!json.is_object() || found == json.end()) fail(ErrorKind::data, "{}: key '{}' is missing", where, key);
  try {
    return found->template get<Value>();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::data, "{}: key '{}' has an unexpected value", where, key);
  }
}

std::vector<Channel> channels_from(const OrderedJson& list, const std::string& where) {
  std::vector<Channel> channels;
  for (const OrderedJson& entry : list) channels.push_back({value_at<std::string>(entry, "name", where), value_at<std::string>(entry, "unit", where)});
  return channels;
}

std::vector<ChannelStatistics> statistics_from(const OrderedJson& list, const std::string& where) {
  std::vector<ChannelStatistics> statistics;
  for (const OrderedJson& entry : list)
    statistics.push_back({value_at<double>(entry, "mean", where), value_at<double>(entry, "deviation", where), value_at<std::int64_t>(entry, "count", where)});
  return statistics;
}

Schema schema_from(const OrderedJson& json, const std::string& where) {
  Schema schema;
  schema.steps = value_at<std::int64_t>(json, "steps", where);
  schema.statics = channels_from(value_at<OrderedJson>(json, "static", where), where + ": static");
  for (const OrderedJson& group : value_at<OrderedJson>(json, "series", where))
    schema.series.push_back({value_at<std::string>(group, "name", where + ": series"), channels_from(value_at<OrderedJson>(group, "channels", where), where)});
  schema.notes = value_at<bool>(json, "notes", where);
  const auto image = value_at<std::array<std::int64_t, 3>>(json, "image", where);
  schema.image = {image[0], image[1], image[2]};
  for (const OrderedJson& entry : value_at<OrderedJson>(json, "tasks", where)) {
    Task& task = schema.tasks.emplace_back();
    task.name = value_at<std::string>(entry, "name", where + ": tasks");
    task.kind = task_kind(value_at<std::string>(entry, "kind", where + ": tasks"));
    task.classes = value_at<std::vector<std::string>>(entry, "classes", where + ": tasks");
    if (task.kind != TaskKind::relation) continue;
    task.directed = value_at<bool>(entry, "directed", where + ": tasks");
    for (const auto& pair : value_at<std::vector<std::array<std::int32_t, 2>>>(entry, "candidates", where + ": tasks"))
      task.candidates.push_back({pair[0], pair[1]});
  }
  if (json.contains("concept_types")) schema.concept_types = value_at<std::vector<std::string>>(json, "concept_types", where);
  check_schema(schema);
  return schema;
}

PartInfo part_from(const OrderedJson& json, const std::string& where) {
  PartInfo part;
  part.file = value_at<std::string>(json, "file", where);
  if (part.file.empty() || part.file.find('/') != std::string::npos) fail(ErrorKind::data, "{}: part file '{}' is not beside the catalogue", where, part.file);
  part.rows = value_at<std::array<std::int64_t, split_count>>(json, "rows", where);
  part.size_bytes = value_at<std::uint64_t>(json, "size_bytes", where);
  part.block_digests = value_at<std::vector<std::string>>(json, "block_digests", where);
  part.file_digest = value_at<std::string>(json, "file_digest", where);
  part.content_digest = value_at<std::string>(json, "content_digest", where);
  if (part.rows[0] < 0 || part.rows[1] < 0 || part.rows[2] < 0) fail(ErrorKind::data, "{}: part '{}' has a negative number of rows", where, part.file);
  return part;
}

Normalisation normalisation_from(const OrderedJson& json, const Schema& schema, const std::string& where) {
  Normalisation normalisation;
  normalisation.statics = statistics_from(value_at<OrderedJson>(json, "static", where), where + ": static");
  bool fits = normalisation.statics.size() == schema.statics.size();
  for (const OrderedJson& group : value_at<OrderedJson>(json, "series", where)) normalisation.series.push_back(statistics_from(group, where + ": series"));
  fits = fits && normalisation.series.size() == schema.series.size();
  for (std::size_t g = 0; fits && g < schema.series.size(); ++g) fits = normalisation.series[g].size() == schema.series[g].channels.size();
  if (!fits) fail(ErrorKind::data, "{}: does not have one entry a channel", where);
  return normalisation;
}

// The digest stands in the document it covers: it is taken with 64 zeros in its place.
std::size_t digest_place(const std::string& text, const std::string& where) {
  const std::size_t key = text.rfind(digest_key);
  if (key == std::string::npos || text.size() < key + digest_key.size() + zero_digest.size()) fail(ErrorKind::data, "{}: key 'self_digest' is missing", where);
  return key + digest_key.size();
}

}  // namespace

std::int64_t Catalogue::rows(Split split) const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                         [&](std::int64_t sum, const PartInfo& part) { return sum + part.rows[static_cast<std::size_t>(split)]; });
}

std::int64_t Catalogue::total_rows() const { return rows(Split::train) + rows(Split::validation) + rows(Split::test); }

std::string to_json(const Catalogue& catalogue) {
  OrderedJson series = OrderedJson::array(), parts = OrderedJson::array(), counts = OrderedJson::array();
  for (const auto& group : catalogue.normalisation.series) series.push_back(json_of(group));
  for (const PartInfo& part : catalogue.parts) parts.push_back(json_of(part));
  for (const LabelCounts& task : catalogue.label_counts) counts.push_back({{"valid", task.valid}, {"classes", task.classes}});
  const OrderedJson json = {{"format", "tributary-shards"},
                            {"format_version", shard_format_version},
                            {"origin", catalogue.origin},
                            {"split_salt", catalogue.split_salt},
                            {"chunk_rows", catalogue.chunk_rows},
                            {"schema", json_of(catalogue.schema)},
                            {"fields", json_of_fields(catalogue.schema, catalogue.tokenizer_digest)},
                            {"normalisation", {{"static", json_of(catalogue.normalisation.statics)}, {"series", series}}},
                            {"label_counts", counts},
                            {"tokenizer_digest", catalogue.tokenizer_digest},
                            {"tokenizer", catalogue.schema.notes ? OrderedJson::parse(to_json(catalogue.tokenizer)) : OrderedJson()},
                            {"vocabulary", {{"file", catalogue.vocabulary_file}, {"sha256", sha256_hex(vocabulary_text(catalogue.vocabulary))}}},
                            {"parts", parts},
                            {"content_digest", catalogue.content_digest},
                            {"self_digest", zero_digest}};
  std::string text = json.dump(1) + '\n';
  return text.replace(digest_place(text, "catalogue"), zero_digest.size(), sha256_hex(text));
}

Catalogue catalogue_from_json(const std::string& text, const std::string& where) {
  OrderedJson json;
  try {
    json = OrderedJson::parse(text);
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::data, "{}: not a JSON document (damaged?)", where);
  }
  if (value_at<std::string>(json, "format", where) != "tributary-shards") fail(ErrorKind::data, "{}: 'format' is not \"tributary-shards\"", where);
  if (const int version = value_at<int>(json, "format_version", where); version != shard_format_version)
    fail(ErrorKind::data, "{}: format version {}; this program reads version {}: build the data set again", where, version, shard_format_version);
  const std::size_t place = digest_place(text, where);
  if (const std::string told = text.substr(place, zero_digest.size()); sha256_hex(std::string(text).replace(place, zero_digest.size(), zero_digest)) != told)
    fail(ErrorKind::data, "{}: its content does not match its self_digest: damaged or edited; restore it or build the data set again", where);
  Catalogue catalogue;
  catalogue.origin = value_at<std::string>(json, "origin", where);
  catalogue.split_salt = value_at<std::string>(json, "split_salt", where);
  catalogue.chunk_rows = value_at<std::int64_t>(json, "chunk_rows", where);
  if (catalogue.chunk_rows < 1) fail(ErrorKind::data, "{}: chunk_rows is {}; at least 1", where, catalogue.chunk_rows);
  catalogue.schema = schema_from(value_at<OrderedJson>(json, "schema", where), where + ": schema");
  catalogue.tokenizer_digest = value_at<std::string>(json, "tokenizer_digest", where);
  if (catalogue.schema.notes && json.contains("tokenizer"))  // data sets made before there was a choice have the defaults
    catalogue.tokenizer = tokenizer_options_from_json(json["tokenizer"].dump(), where + ": tokenizer");
  if (value_at<OrderedJson>(json, "fields", where) != json_of_fields(catalogue.schema, catalogue.tokenizer_digest))
    fail(ErrorKind::data, "{}: 'fields' names a field that the schema does not have, or lacks one", where);
  catalogue.normalisation = normalisation_from(value_at<OrderedJson>(json, "normalisation", where), catalogue.schema, where + ": normalisation");
  for (const OrderedJson& task : value_at<OrderedJson>(json, "label_counts", where)) {
    LabelCounts counts;
    counts.valid = value_at<std::array<std::int64_t, split_count>>(task, "valid", where + ": label_counts");
    counts.classes = value_at<std::vector<std::array<std::int64_t, split_count>>>(task, "classes", where + ": label_counts");
    catalogue.label_counts.push_back(std::move(counts));
  }
  if (catalogue.label_counts.size() != catalogue.schema.tasks.size()) fail(ErrorKind::data, "{}: 'label_counts' does not have one entry a task", where);
  catalogue.vocabulary_file = value_at<std::string>(value_at<OrderedJson>(json, "vocabulary", where), "file", where + ": vocabulary");
  for (const OrderedJson& part : value_at<OrderedJson>(json, "parts", where)) catalogue.parts.push_back(part_from(part, where + ": parts"));
  catalogue.content_digest = value_at<std::string>(json, "content_digest", where);
  return catalogue;
}

Catalogue load_catalogue(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "catalogue.json";
  std::error_code code;
  if (!std::filesystem::exists(path, code))
    fail(ErrorKind::missing, "{}: no such file; a data set is made by `tributary shards synth` or `tributary shards build`", path.string());
  const std::string text = read_file(path);
  Catalogue catalogue = catalogue_from_json(text, path.string());
  if (!catalogue.schema.notes) return catalogue;
  const std::filesystem::path vocabulary_path = directory / catalogue.vocabulary_file;
  const std::string vocabulary = read_file(vocabulary_path);
  if (sha256_hex(vocabulary) != value_at<std::string>(OrderedJson::parse(text).at("vocabulary"), "sha256", path.string()))
    fail(ErrorKind::data, "{}: does not match the digest in {}: damaged or edited", vocabulary_path.string(), path.string());
  catalogue.vocabulary = lines_of(vocabulary);
  return catalogue;
}

void save_catalogue(const std::filesystem::path& directory, const Catalogue& catalogue) {
  if (catalogue.schema.notes) write_file(directory / catalogue.vocabulary_file, vocabulary_text(catalogue.vocabulary));
  write_file(directory / "catalogue.json", to_json(catalogue));
}

}  // namespace tributary
