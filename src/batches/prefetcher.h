// Plans, reads and collates this rank's leaves on one I/O thread while the rank computes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "batches/ahead.h"
#include "batches/batch.h"
#include "batches/batch_plan.h"
#include "batches/collator.h"
#include "batches/hidden_source.h"
#include "batches/row_reader.h"

namespace tributary {

struct StepBatches {
  StepPlan plan;
  LeafRange range;             // of this rank; may be empty
  std::vector<Batch> batches;  // one a leaf of the range, in order
};

struct PrefetchOptions {
  int ranks = 1, rank = 0;
  std::int64_t first_step = 0;                                       // the cursor: any step, in mid-epoch too
  std::int64_t end_step = std::numeric_limits<std::int64_t>::max();  // the thread reads nothing for this step and later ones
  std::int64_t depth = 2;                                            // finished steps that may wait
  HiddenSource* hidden = nullptr;                                    // fills the batches' token embeddings; null: none
};

// Keeps references to its arguments, which must outlive it. Owns: one thread; HDF5's lock is taken inside the source.
class Prefetcher {
 public:
  Prefetcher(const BatchPlan& plan, const RecordIndex& index, RowSource& source, const Collator& collator, const PrefetchOptions& options);

  // The next step, ascending from first_step. Throws: what the thread met (at the step it met it, and again later); Error{internal} at end_step.
  [[nodiscard]] StepBatches next();

  void stop() { ahead_.stop(); }
  [[nodiscard]] double waited_s() const { return ahead_.waited_s(); }

 private:
  RowReader reader_;
  Ahead<StepBatches> ahead_;
};

struct LeafBatch {
  std::int64_t leaf = 0;
  Batch batch;
};

// The leaves of a split that fall to this rank, in order; the same leaves for every number of ranks. Keeps references like Prefetcher.
class EvaluationBatches {
 public:
  EvaluationBatches(const BatchPlan& plan, const RecordIndex& index, RowSource& source, const Collator& collator, Split split, int ranks, int rank,
                    HiddenSource* hidden = nullptr, std::int64_t depth = 8);

  [[nodiscard]] std::optional<LeafBatch> next() { return ahead_.next(); }  // nullopt: no more. Throws: what the thread met

 private:
  RowReader reader_;
  Ahead<LeafBatch> ahead_;
};

}  // namespace tributary
