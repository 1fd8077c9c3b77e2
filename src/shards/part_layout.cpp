#include "shards/part_layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

constexpr std::int64_t small_chunk_bytes = 16 << 10;
constexpr std::int64_t ragged_chunk_bytes = 64 << 10;

void add_index(std::vector<PartColumn>& columns) {
  const auto add = [&](const char* name, NumberType type, Field field) {
    columns.push_back({std::string("/index/") + name, type, Axis::record, {}, std::nullopt, field});
  };
  add("labels_valid", NumberType::u64, Field::labels_valid);
  add("longest_note", NumberType::u16, Field::longest_note);
  add("notes", NumberType::u16, Field::notes);
  add("patient", NumberType::u64, Field::patient);
  add("presence", NumberType::u8, Field::presence);
  add("split", NumberType::u8, Field::split);
  add("steps", NumberType::u16, Field::steps);
  add("tokens", NumberType::u32, Field::tokens);
  columns.push_back({"/record/id/bytes", NumberType::u8, Axis::id_byte, {}, std::nullopt, Field::id_bytes});
  columns.push_back({"/record/id/offsets", NumberType::i64, Axis::record, {}, Axis::id_byte, Field::id_offsets});
}

void add_entities(std::vector<PartColumn>& columns, const Schema& schema, const std::string& tokenizer_digest) {
  const auto add = [&](const std::string& path, NumberType type, Axis axis, Field field) { columns.push_back({path, type, axis, {}, std::nullopt, field}); };
  add("/index/concepts", NumberType::u32, Axis::record, Field::concepts);
  add("/index/mentions", NumberType::u32, Axis::record, Field::mentions);
  columns.push_back({"/concepts/offsets", NumberType::i64, Axis::record, {}, Axis::entity, Field::concept_offsets});
  add("/concepts/type", NumberType::u8, Axis::entity, Field::concept_type);
  columns.push_back({"/concepts/id_offsets", NumberType::i64, Axis::entity, {}, Axis::entity_byte, Field::concept_id_offsets});
  add("/concepts/ids", NumberType::u8, Axis::entity_byte, Field::concept_ids);
  columns.push_back({"/mentions/offsets", NumberType::i64, Axis::record, {}, Axis::mention, Field::mention_offsets});
  add("/mentions/note", NumberType::i32, Axis::mention, Field::mention_note);
  add("/mentions/begin", NumberType::i32, Axis::mention, Field::mention_begin);
  add("/mentions/end", NumberType::i32, Axis::mention, Field::mention_end);
  add("/mentions/concept", NumberType::i32, Axis::mention, Field::mention_concept);
  add("/mentions/type", NumberType::u8, Axis::mention, Field::mention_type);
  add("/tokens/" + tokenizer_digest + "/mentions", NumberType::i32, Axis::mention, Field::mention_token);
  const auto tasks = static_cast<std::int64_t>(schema.relation_tasks().size());
  if (tasks == 0) return;
  columns.push_back({"/index/pairs", NumberType::u32, Axis::record, {tasks}, std::nullopt, Field::pairs});
  columns.push_back({"/index/related", NumberType::u32, Axis::record, {tasks}, std::nullopt, Field::related});
  columns.push_back({"/relations/offsets", NumberType::i64, Axis::record, {}, Axis::relation, Field::relation_offsets});
  add("/relations/task", NumberType::u8, Axis::relation, Field::relation_task);
  add("/relations/head", NumberType::i32, Axis::relation, Field::relation_head);
  add("/relations/tail", NumberType::i32, Axis::relation, Field::relation_tail);
  add("/relations/class", NumberType::u16, Axis::relation, Field::relation_class);
  add("/relations/novelty", NumberType::u8, Axis::relation, Field::relation_novelty);
}

void add_notes(std::vector<PartColumn>& columns, const std::string& tokenizer_digest) {
  columns.push_back({"/notes/hour", NumberType::i32, Axis::note, {}, std::nullopt, Field::note_hour});
  columns.push_back({"/notes/offsets", NumberType::i64, Axis::record, {}, Axis::note, Field::note_offsets});
  columns.push_back({"/notes/text", NumberType::u8, Axis::text_byte, {}, std::nullopt, Field::text});
  columns.push_back({"/notes/text_offsets", NumberType::i64, Axis::note, {}, Axis::text_byte, Field::text_offsets});
  const std::string group = "/tokens/" + tokenizer_digest;
  columns.push_back({group + "/ids", NumberType::i32, Axis::token, {}, std::nullopt, Field::token_ids});
  columns.push_back({group + "/marks", NumberType::u8, Axis::token, {}, std::nullopt, Field::token_marks});
  columns.push_back({group + "/offsets", NumberType::i64, Axis::note, {}, Axis::token, Field::token_offsets});
}

}  // namespace

std::int64_t PartColumn::item_bytes() const { return std::accumulate(inner.begin(), inner.end(), bytes_of(type), std::multiplies<>()); }

std::vector<PartColumn> part_columns(const Schema& schema, const std::string& tokenizer_digest) {
  std::vector<PartColumn> columns;
  add_index(columns);
  if (!schema.statics.empty()) {
    const auto width = static_cast<std::int64_t>(schema.statics.size());
    columns.push_back({"/static/observed", NumberType::u8, Axis::record, {width}, std::nullopt, Field::static_observed});
    columns.push_back({"/static/values", NumberType::f32, Axis::record, {width}, std::nullopt, Field::static_values});
  }
  for (std::size_t g = 0; g < schema.series.size(); ++g) {
    const Extent inner{schema.steps, static_cast<std::int64_t>(schema.series[g].channels.size())};
    const std::string group = "/series/" + schema.series[g].name;
    columns.push_back({group + "/observed", NumberType::u8, Axis::record, inner, std::nullopt, Field::series_observed, g});
    columns.push_back({group + "/values", NumberType::f32, Axis::record, inner, std::nullopt, Field::series_values, g});
  }
  if (schema.notes) add_notes(columns, tokenizer_digest);
  if (schema.has_entities()) add_entities(columns, schema, tokenizer_digest);
  if (schema.image.size() > 0) {
    const Extent inner{schema.image.channels, schema.image.height, schema.image.width};
    columns.push_back({"/image/values", NumberType::u8, Axis::record, inner, std::nullopt, Field::image});
  }
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const std::string group = "/labels/" + schema.tasks[t].name;
    columns.push_back({group + "/valid", NumberType::u8, Axis::record, {}, std::nullopt, Field::label_valid, t});
    if (const std::int64_t width = schema.tasks[t].stored_width(); width > 0)
      columns.push_back({group + "/values", NumberType::f32, Axis::record, {width}, std::nullopt, Field::label_values, t});
  }
  std::sort(columns.begin(), columns.end(), [](const PartColumn& a, const PartColumn& b) { return a.path < b.path; });
  return columns;
}

Extent chunk_of(const PartColumn& column, std::int64_t chunk_rows) {
  std::int64_t items = ragged_chunk_bytes / column.item_bytes();
  if (column.axis == Axis::record) items = chunk_rows * std::max<std::int64_t>(1, small_chunk_bytes / (chunk_rows * column.item_bytes()));
  Extent chunk{items};
  chunk.insert(chunk.end(), column.inner.begin(), column.inner.end());
  return chunk;
}

Axis parent_of(Axis axis) {
  if (axis == Axis::entity_byte) return Axis::entity;
  return axis == Axis::text_byte || axis == Axis::token ? Axis::note : Axis::record;
}

Field offsets_of(Axis axis) {
  switch (axis) {
    case Axis::note:
      return Field::note_offsets;
    case Axis::text_byte:
      return Field::text_offsets;
    case Axis::token:
      return Field::token_offsets;
    case Axis::entity:
      return Field::concept_offsets;
    case Axis::entity_byte:
      return Field::concept_id_offsets;
    case Axis::mention:
      return Field::mention_offsets;
    case Axis::relation:
      return Field::relation_offsets;
    case Axis::record:
    case Axis::id_byte:
      break;
  }
  check(axis == Axis::id_byte, "the axis of records has no offsets");
  return Field::id_offsets;
}

}  // namespace tributary
