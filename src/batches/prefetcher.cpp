#include "batches/prefetcher.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {

Prefetcher::Prefetcher(const BatchPlan& plan, const RecordIndex& index, RowSource& source, const Collator& collator, const PrefetchOptions& options)
    : reader_(index, source, plan.window_rows()),
      ahead_(static_cast<std::size_t>(std::max<std::int64_t>(1, options.depth)),
             [this, &plan, &collator, options, step = options.first_step]() mutable -> std::optional<StepBatches> {
               if (step >= options.end_step) return std::nullopt;
               StepBatches result;
               result.plan = plan.step(step);
               result.range = leaves_of_rank(result.plan.leaves, options.ranks, options.rank);
               for (std::int64_t leaf = result.range.first; leaf < result.range.last; ++leaf) {
                 result.batches.push_back(collator.collate(reader_.read(plan.leaf(step, leaf))));
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
                                     int rank, std::int64_t depth)
    : reader_(index, source, plan.window_rows()),
      ahead_(static_cast<std::size_t>(std::max<std::int64_t>(1, depth)),
             [this, &plan, &collator, split, own = leaves_of_rank(plan.evaluation_leaves(split), ranks, rank)]() mutable -> std::optional<LeafBatch> {
               if (own.size() == 0) return std::nullopt;
               LeafBatch result{own.first, collator.collate(reader_.read(plan.evaluation_leaf(split, own.first)))};
               ++own.first;
               return result;
             }) {}

}  // namespace tributary
