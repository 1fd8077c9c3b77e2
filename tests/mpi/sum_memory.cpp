#include "train/sum_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "train/leaf_bounds.h"

namespace tributary {
namespace {

constexpr std::int64_t records = 50;
const std::vector<Task> tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}};

// Records of one part, all for training, of 10 to 90 tokens.
RecordIndex made_up_index() {
  Catalogue catalogue;
  catalogue.chunk_rows = 4;
  catalogue.schema.tasks = tasks;
  catalogue.parts.resize(1);
  catalogue.parts[0].rows = {records, 0, 0};
  std::vector<IndexRow> rows(records);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows[r].labels_valid = 1;
    rows[r].notes = 1;
    rows[r].tokens = rows[r].longest_note = static_cast<std::uint16_t>(10 + r * r * 7 % 81);
  }
  return {catalogue, {rows}};
}

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
  const RecordIndex index = made_up_index();
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
