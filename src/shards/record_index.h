// The compact per-record index of a whole data set: all that plan, shapes and label counts need, without reading any field.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "shards/entities.h"
#include "shards/shard_reader.h"

namespace tributary {

// A record's place: part and row in it.
struct RecordPlace {
  std::int32_t part = 0;
  std::int64_t row = 0;
  bool operator==(const RecordPlace&) const = default;
};

struct IndexRow {                  // 24 bytes
  std::uint64_t labels_valid = 0;  // bit t: the label of task t is valid
  std::uint32_t tokens = 0;        // over all notes of the record, without special tokens
  std::uint16_t longest_note = 0;  // tokens of the longest note, saturated
  std::uint16_t notes = 0;
  std::uint16_t steps = 0;
  std::uint8_t presence = 0;
  std::uint8_t split = 0;
};

struct EntityCounts {
  std::uint32_t concepts = 0, mentions = 0;
  bool operator==(const EntityCounts&) const = default;
};

// Of a part's records; empty where the schema has no concepts or no relation tasks.
struct EntityIndex {
  std::vector<EntityCounts> counts;  // [rows]
  std::vector<PairCounts> pairs;     // [rows, relation tasks]
};

// Rows of a part stand train first, then validation, then test, so that a split is one range of every part.
class RecordIndex {
 public:
  // `entities`: one a part; may be left out where the schema has no concept types.
  RecordIndex(const Catalogue& catalogue, std::vector<std::vector<IndexRow>> parts, std::vector<EntityIndex> entities = {});
  [[nodiscard]] const IndexRow& at(const RecordPlace& place) const { return parts_[static_cast<std::size_t>(place.part)][static_cast<std::size_t>(place.row)]; }
  [[nodiscard]] EntityCounts entities(const RecordPlace& place) const;  // 0 without concept types
  // `relation`: number among the schema's relation tasks.
  [[nodiscard]] const PairCounts& pairs(const RecordPlace& place, std::size_t relation) const;
  [[nodiscard]] int parts() const { return static_cast<int>(parts_.size()); }
  [[nodiscard]] std::int64_t rows(Split split) const;
  [[nodiscard]] std::int64_t rows(int part, Split split) const { return rows_[static_cast<std::size_t>(part)][static_cast<std::size_t>(split)]; }
  [[nodiscard]] std::int64_t first_row(int part, Split split) const;  // of the split's range in this part
  [[nodiscard]] std::int64_t chunk_rows() const { return chunk_rows_; }

 private:
  std::vector<std::vector<IndexRow>> parts_;
  std::vector<EntityIndex> entities_;
  std::size_t relation_tasks_;
  std::vector<std::array<std::int64_t, split_count>> rows_;
  std::int64_t chunk_rows_;
};

// Collective: all ranks of `comm`; each part's index is read by one rank and handed to all. Throws on all ranks together: Error{missing, data, io}.
// Blocks: while the owner of a part verifies it (about 1 GB/s).
[[nodiscard]] RecordIndex load_index(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue, Verify verify,
                                     const std::filesystem::path& stamp_directory = {});

}  // namespace tributary
