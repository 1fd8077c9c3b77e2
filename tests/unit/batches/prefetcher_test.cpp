#include "batches/prefetcher.h"

#include <gmock/gmock.h>

#include <chrono>
#include <memory>
#include <thread>

#include "base/error.h"
#include "made_up_records.h"

namespace tributary {
namespace {

struct Setting {
  MadeUpRecords source{{150, 41}, 8};
  RecordIndex index = source.index();
  std::vector<Task> tasks = made_up_schema().tasks;
  BatchPlan plan{index, tasks, {.seed = 2, .global_batch = 15, .micro_batch = 5, .window_blocks = 2}};
  Collator collator{made_up_schema(), made_up_normalisation(), SpecialTokens{0, 1, 2, 3, 4}, DataConfig{}};
};

std::vector<at::Tensor> all_tensors_of(const Batch& batch) {
  std::vector<at::Tensor> all = {batch.steps, batch.static_value,     batch.static_observed,      batch.presence,
                                 batch.image, batch.notes.window_ids, batch.notes.token_position, batch.notes.document_hour};
  for (const SeriesTensors& series : batch.series) all.insert(all.end(), {series.value, series.observed, series.delta});
  for (const LabelTensors& labels : batch.labels) all.insert(all.end(), {labels.value, labels.valid});
  return all;
}

bool equal(const Batch& a, const Batch& b) {
  const auto x = all_tensors_of(a), y = all_tensors_of(b);
  bool same = a.places == b.places && x.size() == y.size();
  for (std::size_t i = 0; same && i < x.size(); ++i) same = at::equal(x[i], y[i]);
  return same;
}

TEST(Prefetcher, hands_out_the_same_leaves_for_any_number_of_ranks_and_from_any_cursor) {
  Setting alone;
  Prefetcher reference(alone.plan, alone.index, alone.source, alone.collator, {.end_step = 30});
  std::vector<StepBatches> steps;
  for (int s = 0; s < 30; ++s) steps.push_back(reference.next());
  ASSERT_GT(steps.back().plan.epoch, 1);  // over two epoch borders
  EXPECT_THROW((void)reference.next(), Error);
  int compared = 0;
  for (int ranks = 2; ranks <= 4; ++ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      Setting one;
      const std::int64_t cursor = 7;
      Prefetcher own(one.plan, one.index, one.source, one.collator, {.ranks = ranks, .rank = rank, .first_step = cursor, .end_step = 30, .depth = 3});
      for (std::int64_t s = cursor; s < 30; ++s) {
        const StepBatches step = own.next();
        ASSERT_EQ(step.plan.step, s);
        ASSERT_EQ(step.batches.size(), static_cast<std::size_t>(step.range.size()));
        for (std::int64_t leaf = step.range.first; leaf < step.range.last; ++leaf) {
          ASSERT_TRUE(equal(step.batches[static_cast<std::size_t>(leaf - step.range.first)],
                            steps[static_cast<std::size_t>(s)].batches[static_cast<std::size_t>(leaf)]));
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 3 * 60);
}

TEST(Prefetcher, throws_the_readers_error_at_the_step_it_belongs_to_and_at_every_call_after) {
  Setting one;
  one.source.reads_before_failure = 12;
  Prefetcher prefetcher(one.plan, one.index, one.source, one.collator, {});
  int steps = 0;
  for (int repeat = 0; repeat < 2; ++repeat) {
    try {
      for (;; ++steps) (void)prefetcher.next();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io);
      EXPECT_THAT(error.what(), testing::HasSubstr("made-up failure"));
    }
  }
  EXPECT_GE(steps, 1);
  EXPECT_LT(steps, 10);
}

TEST(Prefetcher, stops_while_its_queue_is_full_and_when_nobody_asks) {
  for (int round = 0; round < 20; ++round) {
    Setting one;
    Prefetcher prefetcher(one.plan, one.index, one.source, one.collator, {.depth = 1});
    if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (round % 3 == 0) {
      EXPECT_EQ(prefetcher.next().plan.step, 0);
    }
    if (round % 4 == 0) prefetcher.stop();
  }
}

TEST(Prefetcher, makes_no_more_than_it_may_hold) {
  int made = 0;
  std::mutex mutex;
  Ahead<int> ahead(3, [&]() -> std::optional<int> {
    const std::lock_guard lock(mutex);
    return made++;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(made, 3);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ahead.next(), i);
  ahead.stop();
  EXPECT_LE(made, 100 + 4);
}

TEST(EvaluationBatches, cover_a_split_once_with_the_same_leaves_for_any_number_of_ranks) {
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    std::vector<Batch> reference;
    for (int ranks = 1; ranks <= 4; ++ranks) {
      std::int64_t expected = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        Setting one;
        EvaluationBatches batches(one.plan, one.index, one.source, one.collator, split, ranks, rank);
        while (auto next = batches.next()) {
          ASSERT_EQ(next->leaf, expected++);
          if (ranks == 1) {
            reference.push_back(next->batch);
          } else {
            ASSERT_TRUE(equal(next->batch, reference[static_cast<std::size_t>(next->leaf)]));
          }
        }
      }
      ASSERT_EQ(expected, static_cast<std::int64_t>(reference.size()));
    }
    std::int64_t rows = 0;
    for (const Batch& batch : reference) rows += batch.rows();
    EXPECT_EQ(rows, split == Split::train ? 191 : split == Split::validation ? 6 : 4);
  }
}

}  // namespace
}  // namespace tributary
