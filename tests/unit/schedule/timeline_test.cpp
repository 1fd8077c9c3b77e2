#include "schedule/timeline.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

TEST(Timeline, in_equal_times_every_kind_has_the_bubble_of_its_formula) {
  std::int64_t compared = 0;
  for (const ScheduleKind& kind : schedule_kinds())
    for (int chunks = 1; chunks <= 4; ++chunks)
      for (int ranks = 1; ranks <= 16; ++ranks) {
        const Pipeline pipeline{ranks, chunks};
        if (!kind.refusal(pipeline).empty()) continue;
        for (std::int64_t leaves = kind.name == "zb_v" ? 2 * ranks : ranks; leaves <= 64; ++leaves) {
          if (!fall_back(kind, pipeline, leaves).empty()) continue;
          const Timeline timeline = simulate(step_schedule(kind, pipeline, leaves), unit_costs(pipeline.stages()));
          ASSERT_NEAR(timeline.bubble(), kind.bubble(pipeline, leaves), 1e-12) << kind.name << ", " << ranks << " ranks, " << leaves << " leaves";
          ++compared;
        }
      }
  EXPECT_GT(compared, 3000);
}

// The tables of the papers, worked out by hand for 4 ranks and 8 leaves.
TEST(Timeline, the_bubbles_of_four_ranks_and_eight_leaves_are_those_of_the_papers) {
  const auto span = [](std::string_view kind, int chunks) {
    return simulate(step_schedule(schedule_kind(kind), {4, chunks}, 8), unit_costs(4 * chunks)).span_s;
  };
  EXPECT_EQ(span("gpipe", 1), 33);        // 3 (m + p - 1)
  EXPECT_EQ(span("1f1b", 1), 33);         // 3 (m + p - 1)
  EXPECT_EQ(span("interleaved", 2), 57);  // 3 (v m + p - 1), of half as long a unit
  EXPECT_EQ(span("zb_h1", 1), 27);        // 3 m + p - 1
  EXPECT_EQ(span("zb_v", 2), 51);         // 6 m + p - 1, of half as long a unit
}

TEST(Timeline, messages_delay_who_needs_them_and_follow_one_another) {
  const StepSchedule step = step_schedule(schedule_kind("gpipe"), {2, 1}, 2);
  const StepCosts costs{{{1, 1, 1}, {1, 1, 1}}, {{5, 7}}, {}};
  const Timeline timeline = simulate(step, costs);
  const auto begins = [&](int rank) {
    std::vector<double> times;
    for (const TimedAction& a : timeline.ranks[static_cast<std::size_t>(rank)]) times.push_back(a.begin_s);
    return times;
  };
  // Leaf 0 arrives at 1 + 5, leaf 1 waits for the channel: 11. Gradients leave at 14 and 16 and arrive at 21 and 28.
  EXPECT_THAT(begins(1), testing::ElementsAre(6, 11, 12, 14));
  EXPECT_THAT(begins(0), testing::ElementsAre(0, 1, 21, 28));
  EXPECT_EQ(timeline.span_s, 30);
  EXPECT_THAT(timeline.idle_share, testing::ElementsAre(1 - 6.0 / 30, 1 - 6.0 / 30));
}

TEST(Timeline, nothing_is_sent_between_stages_of_one_rank) {
  const StepSchedule step = step_schedule(schedule_kind("zb_v"), {1, 2}, 2);
  const StepCosts costs{{{1, 2, 3}, {4, 5, 6}}, {{100, 100}}, {}};
  const Timeline timeline = simulate(step, costs);
  EXPECT_EQ(timeline.span_s, 2 * (1 + 2 + 3 + 4 + 5 + 6));
  EXPECT_EQ(timeline.bubble(), 0);
}

TEST(Timeline, a_leaf_of_twice_the_work_takes_twice_the_time) {
  const StepSchedule step = step_schedule(schedule_kind("zb_h1"), {2, 1}, 1);
  StepCosts costs{{{1, 2, 3}, {4, 5, 6}}, {{10, 20}}, {}};
  EXPECT_EQ(simulate(step, costs).span_s, 1 + 10 + 4 + 5 + 20 + 2 + 3);
  costs.leaf_factors = {2};
  EXPECT_EQ(simulate(step, costs).span_s, 2 * (1 + 10 + 4 + 5 + 20 + 2 + 3));
}

TEST(Timeline, an_empty_step_takes_no_time) {
  const Timeline timeline = simulate(step_schedule(schedule_kind("1f1b"), {3, 1}, 0), unit_costs(3));
  EXPECT_EQ(timeline.span_s, 0);
  EXPECT_EQ(timeline.bubble(), 0);
  EXPECT_EQ(timeline.ranks.size(), 3U);
}

TEST(Timeline, refuses_costs_of_another_model_and_schedules_that_wait_for_each_other) {
  StepSchedule step = step_schedule(schedule_kind("1f1b"), {2, 1}, 2);
  EXPECT_THROW((void)simulate(step, unit_costs(3)), Error);
  StepCosts costs = unit_costs(2);
  costs.leaf_factors = {1};
  EXPECT_THROW((void)simulate(step, costs), Error);
  costs = unit_costs(2);
  costs.boundaries.resize(2);
  EXPECT_THROW((void)simulate(step, costs), Error);
  std::swap(step.ranks[0][1], step.ranks[0][3]);  // B1 before F1
  EXPECT_THROW((void)simulate(step, unit_costs(2)), Error);
}

}  // namespace
}  // namespace tributary
