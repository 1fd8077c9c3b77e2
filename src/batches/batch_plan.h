// Which rows form which leaf of a step, and which rank owns it: pure functions of (options, index, step, grid), no messages.
//
// The order of an epoch. A part's training rows are cut into blocks of chunk_rows rows. Full blocks of all parts are permuted by a keyed bijection; the at
// most one partial block of each part follows in part order; the whole sequence of N rows is rotated by a keyed offset. Lane l of M = global_batch /
// micro_batch owns the contiguous share [l N / M, (l+1) N / M) of it, shuffled inside windows of window_blocks * chunk_rows rows by a keyed bijection. The
// leaf of lane l at step s of the epoch is the lane's next micro_batch rows. Shares do not end on block borders, so at most M blocks an epoch are read by two
// lanes. Lane sizes differ by at most one, so only the last step of an epoch can have smaller leaves or fewer than M.
//
// With a budget of tokens a step has the same rows, but they are packed anew into the fewest leaves of nearly equal tokens that keep to the budget: M varies by
// step, leaves hold rows of several lanes, and ranks that own equally many leaves have nearly equal work.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "batches/token_packing.h"
#include "shards/record_index.h"

namespace tributary {

struct PlanOptions {
  std::uint64_t seed = 1;
  std::int64_t global_batch = 32;                // records a step, a multiple of micro_batch
  std::int64_t micro_batch = 8;                  // records a leaf
  std::int64_t window_blocks = 8;                // W: rows are shuffled inside this many chunks of a lane
  std::int64_t token_budget = 0;                 // tokens a training leaf; 0: leaves of micro_batch records. Evaluation always has those
  TokenRules token_rules = {};                   // what counts as a record's tokens
  double negatives = 0;                          // unrelated pairs of a record for each related one, see sampled_negatives()
  std::optional<std::size_t> marked_pairs = {};  // the relation task whose marked pairs are the encoder's sequences; none: its notes
};

struct LanePosition {
  std::int64_t lane = 0;      // whose blocks a row is read with; evaluation: 0
  std::int64_t position = 0;  // in the lane
  auto operator<=>(const LanePosition&) const = default;
};

struct LeafPlan {
  std::int64_t leaf = 0;   // 0 .. M-1, dense: its place in the tree of the step
  std::int64_t epoch = 0;  // evaluation: 0
  std::vector<RecordPlace> rows;
  std::vector<LanePosition> origins;  // one a row
};

struct StepPlan {
  std::int64_t step = 0;  // optimizer steps before this one, over all epochs: the cursor
  std::int64_t epoch = 0;
  std::int64_t leaves = 0;                 // M of this step, >= 1
  std::vector<std::int64_t> label_counts;  // [tasks] global number of valid labels (multilabel: of (record, label) cells; relation: of pairs); masked_token: 0,
                                           // for those are counted with the batches
  std::int64_t records = 0;                // global
};

// Contiguous leaves of a rank; ranges differ by at most one.
struct LeafRange {
  std::int64_t first = 0, last = 0;  // [first, last)
  [[nodiscard]] std::int64_t size() const { return last - first; }
};
[[nodiscard]] LeafRange leaves_of_rank(std::int64_t leaves, int ranks, int rank);

// A step is made of whole leaves. Throws: Error{configuration}.
void check_batch_sizes(std::int64_t global_batch, std::int64_t micro_batch);

class BatchPlan {
 public:
  // Keeps references; both must outlive the plan. Memory: O(parts).
  // Without training rows only the evaluation leaves may be asked for. Throws: Error{configuration} when global_batch is no multiple of micro_batch.
  BatchPlan(const RecordIndex& index, const std::vector<Task>& tasks, const PlanOptions& options);

  [[nodiscard]] std::int64_t steps_per_epoch() const;
  [[nodiscard]] StepPlan step(std::int64_t step) const;
  [[nodiscard]] LeafPlan leaf(std::int64_t step, std::int64_t leaf) const;
  [[nodiscard]] std::vector<LeafPlan> leaves(std::int64_t step, LeafRange range) const;  // the same, of a range

  // Evaluation: rows of a split in part order, in leaves of micro_batch rows.
  [[nodiscard]] std::int64_t evaluation_leaves(Split split) const;
  [[nodiscard]] LeafPlan evaluation_leaf(Split split, std::int64_t leaf) const;

  [[nodiscard]] const PlanOptions& options() const { return options_; }
  [[nodiscard]] std::int64_t window_rows() const { return options_.window_blocks * index_.chunk_rows(); }

 private:
  struct LaneLeaf {  // rows [position, position + rows) of a lane
    std::int64_t lane = 0, position = 0, rows = 0;
  };
  [[nodiscard]] std::int64_t lanes() const { return options_.global_batch / options_.micro_batch; }
  [[nodiscard]] std::int64_t lane_begin(std::int64_t lane) const;
  [[nodiscard]] std::int64_t lane_rows(std::int64_t lane) const { return lane_begin(lane + 1) - lane_begin(lane); }
  [[nodiscard]] std::vector<LaneLeaf> leaves_of_step(std::int64_t step_of_epoch) const;
  [[nodiscard]] LaneLeaf leaf_of_step(std::int64_t step_of_epoch, std::int64_t leaf) const;
  void count_labels(const RecordPlace& place, std::vector<std::int64_t>& counts) const;  // adds those of a record
  [[nodiscard]] std::int64_t tokens_of(const RecordPlace& place) const;
  void append_rows(std::int64_t epoch, const LaneLeaf& leaf, LeafPlan& plan) const;
  [[nodiscard]] LeafPlan rows_of_step(std::int64_t step) const;
  [[nodiscard]] std::vector<std::vector<std::size_t>> packed(const LeafPlan& rows) const;
  [[nodiscard]] LeafPlan lane_leaf(std::int64_t step, std::int64_t leaf) const;

  const RecordIndex& index_;
  const std::vector<Task>& tasks_;
  PlanOptions options_;
  std::int64_t rows_ = 0;                  // N
  std::vector<std::int64_t> full_blocks_;  // [parts + 1] full blocks before a part
  std::vector<std::int64_t> tail_rows_;    // [parts + 1] rows of partial blocks before a part
};

}  // namespace tributary
