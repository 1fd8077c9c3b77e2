#include "batches/row_reader.h"

#include <gmock/gmock.h>

#include <set>

#include "base/error.h"
#include "made_up_records.h"

namespace tributary {
namespace {

TEST(RowReader, reads_each_chunk_once_an_epoch_but_for_the_borders_of_lanes_and_stays_within_its_memory) {
  MadeUpRecords source({300, 77, 3}, 16);
  const RecordIndex index = source.index();
  const auto tasks = made_up_schema().tasks;
  const BatchPlan plan(index, tasks, {.seed = 4, .global_batch = 18, .micro_batch = 6, .window_blocks = 3});
  RowReader reader(index, source, plan.window_rows());
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    std::set<std::string> ids;
    for (std::int64_t s = 0; s < plan.steps_per_epoch(); ++s) {
      const std::int64_t step = epoch * plan.steps_per_epoch() + s;
      for (std::int64_t leaf = 0; leaf < plan.step(step).leaves; ++leaf) {
        for (const RowRef& row : reader.read(plan.leaf(step, leaf))) {
          const std::string& id = row.block->ids[static_cast<std::size_t>(row.row)];
          EXPECT_EQ(id, std::to_string(row.place.part) + "-" + std::to_string(row.place.row));
          ids.insert(id);
        }
        ASSERT_LE(reader.blocks_held(), 3 * (3 + 3));
      }
    }
    EXPECT_EQ(ids.size(), 380U);
    int twice = 0;
    for (const auto& [block, times] : source.reads) {
      EXPECT_LE(times, 2);
      twice += times == 2;
    }
    EXPECT_EQ(source.reads.size(), 19U + 5U + 1U);  // 300 = 18 * 16 + 12, 77 = 4 * 16 + 13, 3
    EXPECT_LE(twice, 3);
    source.reads.clear();
  }
}

TEST(RowReader, gives_the_same_rows_from_any_step_on_and_drops_what_a_resume_left_half_used) {
  MadeUpRecords source({640}, 16);
  const RecordIndex index = source.index();
  const auto tasks = made_up_schema().tasks;
  const BatchPlan plan(index, tasks, {.seed = 4, .global_batch = 8, .micro_batch = 8, .window_blocks = 4});
  RowReader reader(index, source, plan.window_rows());
  int rows = 0;
  for (std::int64_t step = 5; step < plan.steps_per_epoch(); ++step) {  // in mid-window: 8 leaves a window
    for (const RowRef& row : reader.read(plan.leaf(step, 0))) {
      EXPECT_EQ(row.block->ids[static_cast<std::size_t>(row.row)], "0-" + std::to_string(row.place.row));
      ++rows;
    }
    ASSERT_LE(reader.blocks_held(), step < 24 ? 2 * 7 : 7);
  }
  EXPECT_EQ(rows, 600);
}

TEST(RowReader, keeps_apart_the_splits_that_share_a_chunk) {
  MadeUpRecords source({20, 13}, 16);
  const RecordIndex index = source.index();
  const auto tasks = made_up_schema().tasks;
  const BatchPlan plan(index, tasks, {.seed = 4, .global_batch = 4, .micro_batch = 4, .window_blocks = 4});
  RowReader reader(index, source, plan.window_rows());
  int rows = 0;
  for (std::int64_t leaf = 0; leaf < plan.evaluation_leaves(Split::validation); ++leaf) {
    for (const RowRef& row : reader.read(plan.evaluation_leaf(Split::validation, leaf))) {
      EXPECT_EQ(row.block->split[static_cast<std::size_t>(row.row)], static_cast<std::uint8_t>(Split::validation));
      ++rows;
    }
  }
  EXPECT_EQ(rows, 6);
  EXPECT_EQ(source.reads, (std::map<std::pair<int, std::int64_t>, int>{{{0, 20}, 1}, {{1, 13}, 1}}));
  EXPECT_EQ(reader.blocks_held(), 0);
}

}  // namespace
}  // namespace tributary
