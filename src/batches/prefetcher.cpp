#include "batches/prefetcher.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {
namespace {

Batch make_batch(RowReader& reader, const Collator& collator, HiddenSource* hidden, const LeafPlan& leaf, const std::optional<TrainingDraws>& draws = {}) {
  Batch batch = collator.collate(reader.read(leaf), draws);
  if (hidden != nullptr && batch.notes.windows() > 0) batch.notes.hidden = hidden->hidden(batch);
  return batch;
}

}  // namespace

Prefetcher::Prefetcher(const BatchPlan& plan, const RecordIndex& index, RowSource& source, const Collator& collator, const PrefetchOptions& options)
    : reader_(index, source, plan.window_rows()),
      ahead_(static_cast<std::size_t>(std::max<std::int64_t>(1, options.depth)),
             [this, &plan, &collator, options, step = options.first_step]() mutable -> std::optional<StepBatches> {
               if (step >= options.end_step) return std::nullopt;
               StepBatches result;
               result.plan = plan.step(step);
               result.range = leaves_of_rank(result.plan.leaves, options.ranks, options.rank);
               const TrainingDraws draws{plan.options().seed, result.plan.epoch};
               for (const LeafPlan& leaf : plan.leaves(step, result.range)) {
                 result.batches.push_back(make_batch(reader_, collator, options.hidden, leaf, draws));
               }
               ++step;
               return result;
             }) {}

StepBatches Prefetcher::next() {
  auto step = ahead_.next();
  check(step.has_value(), "Prefetcher: asked for a step at or after the end");
  return std::move(*step);
}

EvaluationBatches::EvaluationBatches(const BatchPlan& plan, const RecordIndex& index, RowSource& source, const Collator& collator, Split split, int ranks,
                                     int rank, HiddenSource* hidden, std::int64_t depth)
    : reader_(index, source, plan.window_rows()),
      ahead_(static_cast<std::size_t>(std::max<std::int64_t>(1, depth)),
             [this, &plan, &collator, split, hidden, own = leaves_of_rank(plan.evaluation_leaves(split), ranks, rank)]() mutable -> std::optional<LeafBatch> {
               if (own.size() == 0) return std::nullopt;
               LeafBatch result{own.first, make_batch(reader_, collator, hidden, plan.evaluation_leaf(split, own.first))};
               ++own.first;
               return result;
             }) {}

}  // namespace tributary
