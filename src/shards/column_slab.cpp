#include "shards/column_slab.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "shards/entities.h"
#include "shards/record_index.h"

namespace tributary {
namespace {

static_assert(std::endian::native == std::endian::little, "canonical bytes are little-endian");

template <class Value>
std::span<const std::byte> bytes_of_values(const std::vector<Value>& values) {
  return std::as_bytes(std::span(values));
}

template <class Value>
std::vector<std::byte> owned_bytes(const std::vector<Value>& values) {
  const auto bytes = bytes_of_values(values);
  return {bytes.begin(), bytes.end()};
}

std::vector<std::int64_t> lengths_of(const std::vector<std::int64_t>& offsets) {
  std::vector<std::int64_t> lengths(offsets.empty() ? 0 : offsets.size() - 1);
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = offsets[i + 1] - offsets[i];
  return lengths;
}

std::vector<std::int64_t> id_lengths(const RecordBlock& block) {
  std::vector<std::int64_t> lengths;
  for (const std::string& id : block.ids) lengths.push_back(static_cast<std::int64_t>(id.size()));
  return lengths;
}

template <class Value>
std::vector<std::byte> index_column(const std::vector<IndexRow>& index, Value IndexRow::*member) {
  std::vector<Value> values;
  for (const IndexRow& row : index) values.push_back(row.*member);
  return owned_bytes(values);
}

std::vector<std::byte> index_lengths(const std::vector<std::int64_t>& offsets) {
  std::vector<std::uint32_t> lengths;
  for (const std::int64_t length : lengths_of(offsets)) lengths.push_back(static_cast<std::uint32_t>(length));
  return owned_bytes(lengths);
}

// [rows, relation tasks]
std::vector<std::byte> pair_column(const Schema& schema, const RecordBlock& block, std::uint32_t PairCounts::*member) {
  std::vector<std::uint32_t> values;
  const std::vector<std::size_t> tasks = schema.relation_tasks();
  for (std::size_t r = 0; r < static_cast<std::size_t>(block.rows); ++r)
    for (const std::size_t t : tasks) values.push_back(pair_counts(block, r, schema.tasks[t], t).*member);
  return owned_bytes(values);
}

// Where the elements of a ragged axis begin, as the block holds it.
const std::vector<std::int64_t>& offsets_in(const RecordBlock& block, Field field) {
  switch (field) {
    case Field::note_offsets:
      return block.notes.note_offsets;
    case Field::text_offsets:
      return block.notes.text_offsets;
    case Field::token_offsets:
      return block.notes.token_offsets;
    case Field::concept_offsets:
      return block.entities.concept_offsets;
    case Field::concept_id_offsets:
      return block.entities.concept_id_offsets;
    case Field::mention_offsets:
      return block.entities.mention_offsets;
    case Field::relation_offsets:
      return block.entities.relation_offsets;
    default:
      fail(ErrorKind::internal, "column field {} has no offsets in the block", static_cast<int>(field));
  }
}

// Bytes of a column that the block does not hold in this form.
std::vector<std::byte> derive(const Schema& schema, Field field, const RecordBlock& block, const std::vector<IndexRow>& index) {
  switch (field) {
    case Field::labels_valid:
      return index_column(index, &IndexRow::labels_valid);
    case Field::longest_note:
      return index_column(index, &IndexRow::longest_note);
    case Field::notes:
      return index_column(index, &IndexRow::notes);
    case Field::steps:
      return index_column(index, &IndexRow::steps);
    case Field::tokens:
      return index_column(index, &IndexRow::tokens);
    case Field::concepts:
      return index_lengths(block.entities.concept_offsets);
    case Field::mentions:
      return index_lengths(block.entities.mention_offsets);
    case Field::pairs:
      return pair_column(schema, block, &PairCounts::candidates);
    case Field::related:
      return pair_column(schema, block, &PairCounts::related);
    case Field::id_offsets:
      return owned_bytes(id_lengths(block));
    case Field::id_bytes: {
      std::vector<std::byte> bytes;
      for (const std::string& id : block.ids) bytes.insert(bytes.end(), std::as_bytes(std::span(id)).begin(), std::as_bytes(std::span(id)).end());
      return bytes;
    }
    default:
      return owned_bytes(lengths_of(offsets_in(block, field)));
  }
}

// The entity columns that lie in the block as they are.
bool view_entities(const PartColumn& column, const EntityColumns& entities, std::span<const std::byte>& bytes) {
  const auto take = [&bytes](const auto& values) {
    bytes = bytes_of_values(values);
    return true;
  };
  switch (column.field) {
    case Field::mention_token:
      return take(entities.mention_token);
    case Field::concept_type:
      return take(entities.concept_type);
    case Field::concept_ids:
      bytes = std::as_bytes(std::span(entities.concept_ids));
      return true;
    case Field::mention_note:
      return take(entities.mention_note);
    case Field::mention_begin:
      return take(entities.mention_begin);
    case Field::mention_end:
      return take(entities.mention_end);
    case Field::mention_concept:
      return take(entities.mention_concept);
    case Field::mention_type:
      return take(entities.mention_type);
    case Field::relation_task:
      return take(entities.relation_task);
    case Field::relation_head:
      return take(entities.relation_head);
    case Field::relation_tail:
      return take(entities.relation_tail);
    case Field::relation_class:
      return take(entities.relation_class);
    case Field::relation_novelty:
      return take(entities.relation_novelty);
    default:
      return false;
  }
}

// Bytes of a column that lies in the block as it is; a null span with data() == nullptr and no size otherwise.
bool view(const PartColumn& column, const RecordBlock& block, std::span<const std::byte>& bytes) {
  switch (column.field) {
    case Field::patient:
      bytes = bytes_of_values(block.patient);
      return true;
    case Field::presence:
      bytes = bytes_of_values(block.presence);
      return true;
    case Field::split:
      bytes = bytes_of_values(block.split);
      return true;
    case Field::static_values:
      bytes = bytes_of_values(block.static_values);
      return true;
    case Field::static_observed:
      bytes = bytes_of_values(block.static_observed);
      return true;
    case Field::series_values:
      bytes = bytes_of_values(block.series[column.number].values);
      return true;
    case Field::series_observed:
      bytes = bytes_of_values(block.series[column.number].observed);
      return true;
    case Field::note_hour:
      bytes = bytes_of_values(block.notes.hour);
      return true;
    case Field::text:
      bytes = std::as_bytes(std::span(block.notes.text));
      return true;
    case Field::token_ids:
      bytes = bytes_of_values(block.notes.token_ids);
      return true;
    case Field::token_marks:
      bytes = bytes_of_values(block.notes.token_marks);
      return true;
    case Field::image:
      bytes = bytes_of_values(block.images);
      return true;
    case Field::label_values:
      bytes = bytes_of_values(block.labels[column.number].values);
      return true;
    case Field::label_valid:
      bytes = bytes_of_values(block.labels[column.number].valid);
      return true;
    default:
      return view_entities(column, block.entities, bytes);
  }
}

std::vector<IndexRow> index_rows(const RecordBlock& block) {
  std::vector<IndexRow> index(static_cast<std::size_t>(block.rows));
  for (std::size_t r = 0; r < index.size(); ++r) {
    IndexRow& row = index[r];
    row.steps = static_cast<std::uint16_t>(block.steps[r]);
    for (std::size_t t = 0; t < block.labels.size(); ++t) row.labels_valid |= static_cast<std::uint64_t>(block.labels[t].valid[r] != 0) << t;
    if (block.notes.note_offsets.empty()) continue;
    const std::int64_t first = block.notes.note_offsets[r], last = block.notes.note_offsets[r + 1];
    row.notes = static_cast<std::uint16_t>(last - first);
    std::int64_t longest = 0, sum = 0;
    for (std::int64_t note = first; note < last; ++note) {
      const auto n = static_cast<std::size_t>(note);
      const std::int64_t tokens = block.notes.token_offsets[n + 1] - block.notes.token_offsets[n];
      longest = std::max(longest, tokens);
      sum += tokens;
    }
    row.tokens = static_cast<std::uint32_t>(sum);
    row.longest_note = static_cast<std::uint16_t>(std::min<std::int64_t>(longest, 65535));
  }
  return index;
}

std::vector<std::int64_t> running_sum(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> sums(lengths.size() + 1, 0);
  std::inclusive_scan(lengths.begin(), lengths.end(), sums.begin() + 1);
  return sums;
}

}  // namespace

ColumnSlab slab_of(const Schema& schema, const std::vector<PartColumn>& columns, const RecordBlock& block) {
  ColumnSlab slab;
  slab.rows = block.rows;
  const std::vector<IndexRow> index = index_rows(block);
  std::array<std::vector<std::int64_t>, axis_count> offsets;
  offsets[static_cast<std::size_t>(Axis::id_byte)] = running_sum(id_lengths(block));
  for (const PartColumn& column : columns) {
    std::span<const std::byte> bytes;
    if (!view(column, block, bytes)) {
      slab.owned.push_back(derive(schema, column.field, block, index));
      bytes = slab.owned.back();
    }
    slab.bytes.push_back(bytes);
    if (column.offsets_into && *column.offsets_into != Axis::id_byte) offsets[static_cast<std::size_t>(*column.offsets_into)] = offsets_in(block, column.field);
  }
  slab.first_item = first_items(block.rows, offsets);
  return slab;
}

std::array<std::vector<std::int64_t>, axis_count> first_items(std::int64_t rows, const std::array<std::vector<std::int64_t>, axis_count>& offsets) {
  std::array<std::vector<std::int64_t>, axis_count> first;
  first[0].resize(static_cast<std::size_t>(rows) + 1);
  std::iota(first[0].begin(), first[0].end(), 0);
  for (std::size_t axis = 1; axis < axis_count; ++axis)
    for (const std::int64_t begin : first[static_cast<std::size_t>(parent_of(static_cast<Axis>(axis)))])
      first[axis].push_back(offsets[axis].empty() ? 0 : offsets[axis][static_cast<std::size_t>(begin)]);
  return first;
}

std::vector<DigestBytes> block_digests(const std::vector<PartColumn>& columns, const ColumnSlab& slab, std::int64_t chunk_rows) {
  std::vector<DigestBytes> digests;
  for (std::int64_t first = 0; first < slab.rows; first += chunk_rows) {
    const auto begin_row = static_cast<std::size_t>(first), end_row = static_cast<std::size_t>(std::min(first + chunk_rows, slab.rows));
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto& starts = slab.first_item[static_cast<std::size_t>(columns[c].axis)];
      const std::int64_t item_bytes = columns[c].item_bytes();
      const auto begin = static_cast<std::size_t>(starts[begin_row] * item_bytes), end = static_cast<std::size_t>(starts[end_row] * item_bytes);
      digests.push_back(Sha256().update(slab.bytes[c].data() + begin, end - begin).finish());
    }
  }
  return digests;
}

void ContentDigest::add(std::span<const DigestBytes> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) columns_[i % columns_.size()].update(blocks[i].data(), blocks[i].size());
}

std::vector<std::string> ContentDigest::finish() {
  std::vector<std::string> digests;
  for (Sha256& column : columns_) digests.push_back(hex(column.finish()));
  return digests;
}

std::string part_content_digest(const std::vector<PartColumn>& columns, const std::vector<std::string>& column_digests) {
  Sha256 sha;
  for (std::size_t c = 0; c < columns.size(); ++c) sha.update(columns[c].path + " " + column_digests[c] + "\n");
  return hex(sha.finish());
}

std::string data_set_content_digest(const std::vector<std::string>& part_digests) {
  Sha256 sha;
  for (std::size_t p = 0; p < part_digests.size(); ++p) sha.update(fmt::format("{} {}\n", p, part_digests[p]));
  return hex(sha.finish());
}

}  // namespace tributary
