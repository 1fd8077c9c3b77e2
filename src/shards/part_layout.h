// What stands where in a part file: the one list of datasets that writer, reader, digests, checks and catalogue follow. shards/FORMAT.md tells it in words.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shards/hdf5_file.h"
#include "shards/schema.h"

namespace tributary {

// What one element of a dataset's first dimension belongs to. All but `record` are ragged: their extent follows from offsets.
// A parent stands before what its offsets lead to.
enum class Axis : std::uint8_t { record, id_byte, note, text_byte, token, entity, entity_byte, mention, relation };
inline constexpr int axis_count = 9;

// Which part of a RecordBlock a column is.
enum class Field : std::uint8_t {
  labels_valid,
  longest_note,
  notes,
  patient,
  presence,
  split,
  steps,
  tokens,
  concepts,
  mentions,
  pairs,
  related,  // the index
  id_offsets,
  id_bytes,
  static_values,
  static_observed,
  series_values,
  series_observed,
  note_offsets,
  note_hour,
  text_offsets,
  text,
  token_offsets,
  token_ids,
  token_marks,
  mention_token,
  concept_offsets,
  concept_type,
  concept_id_offsets,
  concept_ids,
  mention_offsets,
  mention_note,
  mention_begin,
  mention_end,
  mention_concept,
  mention_type,
  relation_offsets,
  relation_task,
  relation_head,
  relation_tail,
  relation_class,
  relation_novelty,
  image,
  label_values,
  label_valid
};

struct PartColumn {
  std::string path;
  NumberType type = NumberType::u8;
  Axis axis = Axis::record;
  Extent inner;                      // dimensions after the first
  std::optional<Axis> offsets_into;  // set: one entry more than its axis has elements; entry i is where element i begins in that axis
  Field field = Field::patient;
  std::size_t number = 0;                         // of the series group or task
  [[nodiscard]] std::int64_t item_bytes() const;  // of one element of the first dimension
};

// In ascending order of path. Fields that the schema lacks have no column.
[[nodiscard]] std::vector<PartColumn> part_columns(const Schema& schema, const std::string& tokenizer_digest);

// Chunk of a column: for columns by record chunk_rows rows, or a multiple of it where that makes less than 16 KiB; for others 64 KiB.
[[nodiscard]] Extent chunk_of(const PartColumn& column, std::int64_t chunk_rows);

// Where a ragged axis gets its extents: the axis that its offsets stand on (note -> record, token -> note, ...), and the field that holds them.
[[nodiscard]] Axis parent_of(Axis axis);
[[nodiscard]] Field offsets_of(Axis axis);

}  // namespace tributary
