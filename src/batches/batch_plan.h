// Which rows form which leaf of a step, and which rank owns it: pure functions of (options, index, step, grid), no messages.
#pragma once

#include <cstdint>
#include <vector>

#include "shards/record_index.h"

namespace tributary {

struct PlanOptions {
  std::uint64_t seed = 1;
  std::int64_t global_batch = 32;  // records a step, a multiple of micro_batch
  std::int64_t micro_batch = 8;    // records a leaf
  std::int64_t window_blocks = 8;  // W: rows are shuffled inside this many chunks of a lane
};

struct LeafPlan {
  std::int64_t leaf = 0;  // 0 .. M-1, dense: its place in the tree of the step
  std::vector<RecordPlace> rows;
};

struct StepPlan {
  std::int64_t step = 0;  // optimizer steps before this one, over all epochs: the cursor
  std::int64_t epoch = 0;
  std::int64_t leaves = 0;                 // M of this step, >= 1
  std::vector<std::int64_t> label_counts;  // [tasks] global number of valid labels (multilabel: of (record, label) cells)
  std::int64_t records = 0;                // global
};

// Contiguous leaves of a rank; ranges differ by at most one.
struct LeafRange {
  std::int64_t first = 0, last = 0;  // [first, last)
  [[nodiscard]] std::int64_t size() const { return last - first; }
};
[[nodiscard]] LeafRange leaves_of_rank(std::int64_t leaves, int ranks, int rank);

class BatchPlan {
 public:
  // Keeps references; both must outlive the plan. Throws: Error{configuration} when global_batch is no multiple of micro_batch,
  // Error{data} when the training split is empty.
  BatchPlan(const RecordIndex& index, const std::vector<Task>& tasks, const PlanOptions& options);

  [[nodiscard]] std::int64_t steps_per_epoch() const;
  [[nodiscard]] StepPlan step(std::int64_t step) const;
  [[nodiscard]] LeafPlan leaf(std::int64_t step, std::int64_t leaf) const;

  // Evaluation: rows of a split in part order, in leaves of micro_batch rows.
  [[nodiscard]] std::int64_t evaluation_leaves(Split split) const;
  [[nodiscard]] LeafPlan evaluation_leaf(Split split, std::int64_t leaf) const;

 private:
  const RecordIndex& index_;
  const std::vector<Task>& tasks_;
  PlanOptions options_;
};

}  // namespace tributary
