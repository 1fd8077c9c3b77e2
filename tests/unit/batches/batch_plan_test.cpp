#include "batches/batch_plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/key.h"

namespace tributary {
namespace {

std::vector<Task> some_tasks() { return {{"death", TaskKind::binary, {"no", "yes"}}, {"drugs", TaskKind::multilabel, {"a", "b", "c"}}}; }

// Parts of the given numbers of training rows, each followed by two validation rows and one of test.
RecordIndex index_of(const std::vector<std::int64_t>& training_rows, std::int64_t chunk_rows) {
  Catalogue catalogue;
  catalogue.chunk_rows = chunk_rows;
  catalogue.schema.tasks = some_tasks();
  std::vector<std::vector<IndexRow>> parts;
  std::uint64_t number = 0;
  for (const std::int64_t rows : training_rows) {
    catalogue.parts.push_back({.rows = {rows, 2, 1}});
    std::vector<IndexRow> part;
    for (std::int64_t row = 0; row < rows + 3; ++row) {
      IndexRow entry;
      entry.labels_valid = stable_hash("labels", number++) % 4;
      entry.notes = static_cast<std::uint16_t>(stable_hash("notes", number) % 3);
      entry.longest_note = static_cast<std::uint16_t>(entry.notes == 0 ? 0 : 1 + stable_hash("tokens", number) % 600);
      entry.tokens = entry.notes == 2 ? entry.longest_note + entry.longest_note / 2U : entry.longest_note;
      entry.split = static_cast<std::uint8_t>(row < rows ? 0 : row < rows + 2 ? 1 : 2);
      part.push_back(entry);
    }
    parts.push_back(std::move(part));
  }
  return RecordIndex(catalogue, std::move(parts));
}

using Place = std::pair<int, std::int64_t>;

struct Case {
  std::vector<std::int64_t> training_rows;
  std::int64_t chunk_rows, lanes, micro_batch, window_blocks;
};

std::vector<Case> cases() {
  std::vector<Case> all = {{{1}, 64, 1, 1, 1},  {{1}, 64, 7, 8, 8},      {{0, 1, 0}, 4, 3, 2, 1},
                           {{64}, 64, 2, 8, 1}, {{65, 63}, 64, 4, 8, 2}, {{1, 1, 1, 1, 1}, 64, 2, 2, 1}};
  const Key key = derive_key(Draw::synth, {99});
  for (std::uint64_t i = 0; i < 60; ++i) {
    const auto draw = [&](std::uint64_t j, int size) { return static_cast<std::int64_t>(uniform(key, 16 * i + j) * size); };
    Case one{{}, 1 + draw(0, 9), 1 + draw(1, 9), 1 + draw(2, 9), 1 + draw(3, 4)};
    for (std::int64_t part = 0; part <= draw(4, 5); ++part) one.training_rows.push_back(draw(5 + static_cast<std::uint64_t>(part), 120));
    one.training_rows.back() += 1;
    all.push_back(one);
  }
  return all;
}

TEST(BatchPlan, covers_every_row_once_for_any_grid) {
  std::int64_t rows_seen = 0, small_leaves = 0;
  for (const Case& c : cases()) {
    const auto index = index_of(c.training_rows, c.chunk_rows);
    const auto tasks = some_tasks();
    const BatchPlan plan(index, tasks, {.seed = 5, .global_batch = c.lanes * c.micro_batch, .micro_batch = c.micro_batch, .window_blocks = c.window_blocks});
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      std::set<Place> seen;
      for (std::int64_t s = 0; s < plan.steps_per_epoch(); ++s) {
        const StepPlan step = plan.step(epoch * plan.steps_per_epoch() + s);
        ASSERT_EQ(step.epoch, epoch);
        ASSERT_GE(step.leaves, 1);
        ASSERT_LE(step.leaves, c.lanes);
        if (s + 1 < plan.steps_per_epoch()) {
          ASSERT_EQ(step.records, c.lanes * c.micro_batch);
        }
        std::int64_t records = 0;
        for (int rank = 0; rank < 3; ++rank) {
          const LeafRange range = leaves_of_rank(step.leaves, 3, rank);
          for (std::int64_t leaf = range.first; leaf < range.last; ++leaf) {
            const LeafPlan rows = plan.leaf(step.step, leaf);
            ASSERT_EQ(rows.leaf, leaf);
            ASSERT_GE(rows.rows.size(), 1U);
            ASSERT_LE(static_cast<std::int64_t>(rows.rows.size()), c.micro_batch);
            small_leaves += static_cast<std::int64_t>(rows.rows.size()) < c.micro_batch;
            for (const RecordPlace& place : rows.rows) {
              ASSERT_EQ(index.at(place).split, 0);
              ASSERT_TRUE(seen.insert({place.part, place.row}).second) << "row twice in an epoch";
            }
            records += static_cast<std::int64_t>(rows.rows.size());
          }
        }
        ASSERT_EQ(records, step.records);
      }
      ASSERT_EQ(static_cast<std::int64_t>(seen.size()), index.rows(Split::train));
      rows_seen += static_cast<std::int64_t>(seen.size());
    }
  }
  EXPECT_GT(rows_seen, 10000);
  EXPECT_GT(small_leaves, 50);
}

TEST(BatchPlan, counts_labels_as_a_walk_over_the_rows_does) {
  std::int64_t compared = 0;
  for (const Case& c : cases()) {
    const auto index = index_of(c.training_rows, c.chunk_rows);
    const auto tasks = some_tasks();
    const BatchPlan plan(index, tasks, {.seed = 6, .global_batch = c.lanes * c.micro_batch, .micro_batch = c.micro_batch, .window_blocks = c.window_blocks});
    for (std::int64_t s = 0; s < std::min<std::int64_t>(plan.steps_per_epoch() + 1, 9); ++s) {
      const StepPlan step = plan.step(s);
      std::vector<std::int64_t> counts(2, 0);
      for (std::int64_t leaf = 0; leaf < step.leaves; ++leaf) {
        for (const RecordPlace& place : plan.leaf(s, leaf).rows) {
          counts[0] += (index.at(place).labels_valid & 1U) != 0 ? 1 : 0;
          counts[1] += (index.at(place).labels_valid & 2U) != 0 ? 3 : 0;
        }
      }
      ASSERT_EQ(step.label_counts, counts);
      compared += counts[0] + counts[1] > 0;
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(BatchPlan, orders_every_epoch_and_seed_differently_and_the_same_when_asked_again) {
  const auto index = index_of({200, 150}, 8);
  const auto tasks = some_tasks();
  const auto order = [&](std::uint64_t seed, std::int64_t epoch) {
    const BatchPlan plan(index, tasks, {.seed = seed, .global_batch = 20, .micro_batch = 5, .window_blocks = 2});
    std::vector<Place> places;
    for (std::int64_t s = 0; s < plan.steps_per_epoch(); ++s) {
      const std::int64_t step = epoch * plan.steps_per_epoch() + s;
      for (std::int64_t leaf = 0; leaf < plan.step(step).leaves; ++leaf) {
        for (const RecordPlace& place : plan.leaf(step, leaf).rows) places.emplace_back(place.part, place.row);
      }
    }
    return places;
  };
  const auto first = order(1, 0);
  ASSERT_EQ(first.size(), 350U);
  EXPECT_EQ(first, order(1, 0));
  for (const auto& other : {order(1, 1), order(1, 2), order(2, 0)}) {
    ASSERT_EQ(other.size(), first.size());
    int same = 0;
    for (std::size_t i = 0; i < first.size(); ++i) same += first[i] == other[i];
    EXPECT_LT(same, 35);
  }
}

TEST(BatchPlan, keeps_the_rows_of_a_window_within_its_blocks_and_gives_a_lane_few_blocks_of_its_neighbours) {
  const auto index = index_of({640, 320}, 16);
  const auto tasks = some_tasks();
  const BatchPlan plan(index, tasks, {.seed = 3, .global_batch = 24, .micro_batch = 8, .window_blocks = 4});
  ASSERT_EQ(plan.steps_per_epoch(), 40);
  std::array<std::set<Place>, 3> blocks_of_lane;
  for (std::int64_t s = 0; s < plan.steps_per_epoch(); s += 8) {  // 8 leaves of 8 rows = a window of 64
    std::array<std::set<Place>, 3> blocks_of_window;
    for (std::int64_t k = s; k < s + 8; ++k) {
      for (std::int64_t leaf = 0; leaf < 3; ++leaf) {
        const LeafPlan rows = plan.leaf(k, leaf);
        EXPECT_EQ(rows.origins.front(), (LanePosition{leaf, 8 * k}));
        EXPECT_EQ(rows.origins.back(), (LanePosition{leaf, 8 * k + 7}));
        for (const RecordPlace& place : rows.rows) blocks_of_window[static_cast<std::size_t>(leaf)].insert({place.part, place.row / 16});
      }
    }
    for (std::size_t lane = 0; lane < 3; ++lane) {
      EXPECT_LE(blocks_of_window[lane].size(), 5U);
      EXPECT_GE(blocks_of_window[lane].size(), 4U);
      blocks_of_lane[lane].insert(blocks_of_window[lane].begin(), blocks_of_window[lane].end());
    }
  }
  const std::size_t reads = blocks_of_lane[0].size() + blocks_of_lane[1].size() + blocks_of_lane[2].size();
  EXPECT_GE(reads, 60U);
  EXPECT_LE(reads, 63U);  // M lanes: at most M blocks are read twice
}

TEST(BatchPlan, deals_contiguous_leaf_ranges_that_differ_by_at_most_one) {
  for (std::int64_t leaves = 1; leaves < 30; ++leaves) {
    for (int ranks = 1; ranks < 9; ++ranks) {
      std::int64_t next = 0, smallest = leaves, largest = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const LeafRange range = leaves_of_rank(leaves, ranks, rank);
        ASSERT_EQ(range.first, next);
        next = range.last;
        smallest = std::min(smallest, range.size());
        largest = std::max(largest, range.size());
      }
      ASSERT_EQ(next, leaves);
      ASSERT_LE(largest - smallest, 1);
    }
  }
}

TEST(BatchPlan, with_a_budget_of_tokens_packs_the_same_rows_of_a_step_into_leaves_that_keep_to_it) {
  const auto tasks = some_tasks();
  std::int64_t steps = 0, over = 0;
  std::set<std::int64_t> numbers_of_leaves;
  for (const Case& c : cases()) {
    const auto index = index_of(c.training_rows, c.chunk_rows);
    PlanOptions options{.seed = 5, .global_batch = c.lanes * c.micro_batch, .micro_batch = c.micro_batch, .window_blocks = c.window_blocks};
    const BatchPlan by_records(index, tasks, options);
    options.token_budget = 700;
    const BatchPlan by_tokens(index, tasks, options);
    const auto tokens = [&](const RecordPlace& place) { return encoder_tokens(index.at(place), options.token_rules); };
    ASSERT_EQ(by_tokens.steps_per_epoch(), by_records.steps_per_epoch());
    for (std::int64_t s = 0; s < std::min<std::int64_t>(by_tokens.steps_per_epoch() + 1, 9); ++s, ++steps) {
      const StepPlan step = by_tokens.step(s), other = by_records.step(s);
      ASSERT_EQ(step.records, other.records);
      ASSERT_EQ(step.label_counts, other.label_counts);
      ASSERT_LE(step.leaves, step.records);
      numbers_of_leaves.insert(step.leaves);
      std::set<Place> wanted, found;
      for (std::int64_t leaf = 0; leaf < other.leaves; ++leaf)
        for (const RecordPlace& place : by_records.leaf(s, leaf).rows) wanted.insert({place.part, place.row});
      for (int rank = 0; rank < 3; ++rank)
        for (const LeafPlan& leaf : by_tokens.leaves(s, leaves_of_rank(step.leaves, 3, rank))) {
          std::int64_t sum = 0;
          ASSERT_EQ(leaf.rows, by_tokens.leaf(s, leaf.leaf).rows);
          ASSERT_EQ(leaf.origins.size(), leaf.rows.size());
          ASSERT_TRUE(std::is_sorted(leaf.origins.begin(), leaf.origins.end()));
          for (const RecordPlace& place : leaf.rows) {
            ASSERT_TRUE(found.insert({place.part, place.row}).second) << "row twice in a step";
            sum += tokens(place);
          }
          over += sum > 700;
          ASSERT_TRUE(sum <= 700 || leaf.rows.size() == 1) << sum;
        }
      ASSERT_EQ(found, wanted);
    }
  }
  EXPECT_GT(steps, 200);
  EXPECT_GT(over, 10) << "no record was above the budget";
  EXPECT_GT(numbers_of_leaves.size(), 8U);
}

TEST(BatchPlan, evaluates_every_row_of_a_split_once_in_part_order) {
  const auto index = index_of({5, 0, 9}, 4);
  const auto tasks = some_tasks();
  const BatchPlan plan(index, tasks, {.seed = 1, .global_batch = 8, .micro_batch = 4, .window_blocks = 2});
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    std::vector<Place> expected, found;
    for (int part = 0; part < 3; ++part) {
      for (std::int64_t row = 0; row < index.rows(part, split); ++row) expected.emplace_back(part, index.first_row(part, split) + row);
    }
    for (std::int64_t leaf = 0; leaf < plan.evaluation_leaves(split); ++leaf) {
      const LeafPlan rows = plan.evaluation_leaf(split, leaf);
      EXPECT_LE(rows.rows.size(), 4U);
      EXPECT_EQ(rows.origins.front(), (LanePosition{0, static_cast<std::int64_t>(found.size())}));
      for (const RecordPlace& place : rows.rows) found.emplace_back(place.part, place.row);
    }
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(found, expected);
  }
}

TEST(BatchPlan, refuses_a_batch_that_is_no_whole_number_of_leaves) {
  const auto index = index_of({5}, 4);
  const auto tasks = some_tasks();
  const auto kind_of = [&](const RecordIndex& over, const PlanOptions& options) {
    try {
      const BatchPlan plan(over, tasks, options);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind_of(index, {.seed = 1, .global_batch = 9, .micro_batch = 4}), ErrorKind::configuration);
  EXPECT_EQ(kind_of(index, {.seed = 1, .global_batch = 8, .micro_batch = 4, .window_blocks = 0}), ErrorKind::configuration);
}

TEST(BatchPlan, evaluates_a_data_set_without_training_rows) {
  const auto index = index_of({0, 0}, 4);
  const auto tasks = some_tasks();
  const BatchPlan plan(index, tasks, {.seed = 1, .global_batch = 6, .micro_batch = 3});
  EXPECT_EQ(plan.evaluation_leaves(Split::train), 0);
  ASSERT_EQ(plan.evaluation_leaves(Split::validation), 2);
  EXPECT_EQ(plan.evaluation_leaf(Split::validation, 1).rows, (std::vector<RecordPlace>{{1, 1}}));
}

}  // namespace
}  // namespace tributary
