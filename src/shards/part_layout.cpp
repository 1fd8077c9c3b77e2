#include "shards/part_layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

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
  if (schema.image.size() > 0) {
    const Extent inner{schema.image.channels, schema.image.height, schema.image.width};
    columns.push_back({"/image/values", NumberType::u8, Axis::record, inner, std::nullopt, Field::image});
  }
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const std::string group = "/labels/" + schema.tasks[t].name;
    columns.push_back({group + "/valid", NumberType::u8, Axis::record, {}, std::nullopt, Field::label_valid, t});
    columns.push_back({group + "/values", NumberType::f32, Axis::record, {schema.tasks[t].label_width()}, std::nullopt, Field::label_values, t});
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

Axis parent_of(Axis axis) { return axis == Axis::text_byte || axis == Axis::token ? Axis::note : Axis::record; }

}  // namespace tributary
