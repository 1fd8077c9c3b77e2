#include "train/sum_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "support/training_index.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

PlanOptions options(std::int64_t global_batch, std::int64_t token_budget) {
  PlanOptions options;
  options.global_batch = global_batch;
  options.micro_batch = 2;
  options.token_budget = token_budget;
  options.token_rules.windows = {64, 48};
  return options;
}

TEST(SumMemory, is_that_of_the_step_that_needs_most) {
  const auto world = Communicator::world();
  const RecordIndex index = testing_support::training_index(50, [](std::size_t record) { return 10 + record * record * 7 % 81; });
  const std::vector<Task> tasks = testing_support::one_task();
  std::set<std::size_t> found;
  bool leaves_differ = false;
  for (const std::int64_t budget : {0, 100, 150})
    for (const std::int64_t global_batch : {16, 14, 22}) {
      const BatchPlan plan(index, tasks, options(global_batch, budget));
      for (const int pipelines : {1, 2, 3})
        for (const Reduction reduction : {Reduction::exact, Reduction::fast})
          for (const auto& [next, total] : {std::pair<std::int64_t, std::int64_t>{0, 17}, {2, 17}, {3, 17}, {3, 4}, {5, 6}, {0, 1}, {9, 9}}) {
            std::size_t most = 0;
            for (std::int64_t step = next; step < total; ++step) {
              most = std::max(most, plan_sum(reduction, leaf_bounds(plan.step(step).leaves, pipelines), {1, pipelines}).buffers);
              leaves_differ = leaves_differ || (budget > 0 && plan.step(step).leaves != plan.step(next).leaves);
            }
            EXPECT_EQ(most_partial_sums(world, plan, reduction, pipelines, next, total, [] {}), most)
                << "budget " << budget << ", " << global_batch << " records, " << pipelines << " pipelines, steps " << next << " to " << total;
            found.insert(most);
          }
    }
  EXPECT_TRUE(leaves_differ);
  EXPECT_GE(found.size(), 4U);
}

}  // namespace
}  // namespace tributary
