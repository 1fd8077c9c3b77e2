// Fetches the rows of a leaf through a small cache of blocks per lane, so that a lane reads each of its chunks once an epoch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "batches/batch_plan.h"
#include "shards/record_block.h"
#include "shards/record_index.h"
#include "shards/shard_reader.h"

namespace tributary {

// Where blocks come from; the shards in a run, made-up records in tests.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Rows [first, first + rows) of a part. Throws: Error{missing, data, io}.
  [[nodiscard]] virtual RecordBlock read(int part, std::int64_t first, std::int64_t rows) = 0;
};

class ShardRowSource : public RowSource {
 public:
  ShardRowSource(ShardReader reader, FieldSelection fields);
  [[nodiscard]] RecordBlock read(int part, std::int64_t first, std::int64_t rows) override;

 private:
  ShardReader reader_;
  FieldSelection fields_;
};

// One record: a row of a block that lives as long as someone refers to it.
struct RowRef {
  RecordPlace place;
  std::shared_ptr<const RecordBlock> block;
  std::int64_t row = 0;  // in the block
};

// Blocks are the rows of one chunk that belong to one split. A block is dropped when its last row has been handed out, when two windows have passed without
// a use (a resume in mid-window), or when the epoch changes. Memory: at most window_blocks + 3 blocks a lane, twice that for two windows after a resume.
// Not thread-safe. Call with leaves in ascending order.
class RowReader {
 public:
  // Keeps references; both must outlive the reader. window_rows: BatchPlan::window_rows().
  RowReader(const RecordIndex& index, RowSource& source, std::int64_t window_rows);

  // Throws: what the source throws; Error{data} when it returns another number of rows than asked for.
  [[nodiscard]] std::vector<RowRef> read(const LeafPlan& leaf);

  [[nodiscard]] std::int64_t blocks_held() const;

 private:
  struct Held {
    std::shared_ptr<const RecordBlock> block;
    std::int64_t rows_left = 0;
    std::int64_t last_window = 0;
  };
  using BlockName = std::pair<std::int32_t, std::int64_t>;  // part, first row
  struct Lane {
    std::int64_t window = 0;
    std::map<BlockName, Held> held;
  };
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> block_of(const RecordPlace& place) const;  // [first row, last row)
  [[nodiscard]] RowRef take(Lane& lane, const RecordPlace& place, std::int64_t window);

  const RecordIndex& index_;
  RowSource& source_;
  std::int64_t window_rows_;
  std::int64_t epoch_ = -1;
  std::map<std::int64_t, Lane> lanes_;
};

}  // namespace tributary
