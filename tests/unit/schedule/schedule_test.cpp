#include "schedule/schedule.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "schedule/list_order.h"

namespace tributary {
namespace {

using testing::HasSubstr;

std::string order_of(std::string_view kind, Pipeline pipeline, std::int64_t leaves, int rank) {
  return to_string(schedule_of(schedule_kind(kind), pipeline, leaves, rank));
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  return "nothing was thrown";
}

// All golden orders are written by hand from the figures of the papers.
TEST(Schedule, gpipe_runs_all_forwards_then_all_backwards) { EXPECT_EQ(order_of("gpipe", {2, 1}, 3, 1), "F0@1 F1@1 F2@1 B0@1 B1@1 B2@1"); }

TEST(Schedule, one_f_one_b_is_as_in_the_paper) {
  EXPECT_EQ(order_of("1f1b", {4, 1}, 8, 1), "F0@1 F1@1 F2@1 B0@1 F3@1 B1@1 F4@1 B2@1 F5@1 B3@1 F6@1 B4@1 F7@1 B5@1 B6@1 B7@1");
  EXPECT_EQ(order_of("1f1b", {4, 1}, 3, 3), "F0@3 B0@3 F1@3 B1@3 F2@3 B2@3");
  EXPECT_EQ(order_of("1f1b", {4, 1}, 2, 0), "F0@0 F1@0 B0@0 B1@0");  // fewer leaves than ranks
}

TEST(Schedule, interleaved_is_as_in_the_paper) {
  EXPECT_EQ(order_of("interleaved", {2, 2}, 4, 0), "F0@0 F1@0 F0@2 F1@2 F2@0 B0@2 F3@0 B1@2 F2@2 B0@0 F3@2 B1@0 B2@2 B3@2 B2@0 B3@0");
  EXPECT_EQ(order_of("interleaved", {2, 2}, 4, 1), "F0@1 F1@1 F0@3 B0@3 F1@3 B1@3 F2@1 B0@1 F3@1 B1@1 F2@3 B2@3 F3@3 B3@3 B2@1 B3@1");
}

TEST(Schedule, zero_bubble_h1_is_as_in_the_paper) {
  EXPECT_EQ(order_of("zb_h1", {2, 1}, 3, 0), "F0@0 F1@0 I0@0 W0@0 F2@0 I1@0 W1@0 I2@0 W2@0");
  EXPECT_EQ(order_of("zb_h1", {2, 1}, 3, 1), "F0@1 I0@1 F1@1 I1@1 W0@1 F2@1 I2@1 W1@1 W2@1");
}

TEST(Schedule, zero_bubble_v_goes_down_and_up_the_ranks) {
  EXPECT_EQ(order_of("zb_v", {2, 2}, 4, 0),
            "F0@0 F1@0 F2@0 F0@3 I0@3 W0@3 F1@3 I1@3 W1@3 F3@0 I0@0 W0@0 F2@3 I2@3 W2@3 I1@0 W1@0 F3@3 I3@3 W3@3 I2@0 W2@0 I3@0 W3@0");
  EXPECT_EQ(order_of("zb_v", {2, 2}, 4, 1),
            "F0@1 F0@2 F1@1 F1@2 I0@2 W0@2 F2@1 I0@1 W0@1 F2@2 I1@2 W1@2 F3@1 I1@1 W1@1 F3@2 I2@2 W2@2 I2@1 I3@2 W2@1 I3@1 W3@1 W3@2");
  EXPECT_THAT(placement(schedule_kind("zb_v"), {3, 2}), testing::ElementsAre(0, 1, 2, 2, 1, 0));
  EXPECT_THAT(placement(schedule_kind("interleaved"), {3, 2}), testing::ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(Schedule, one_rank_runs_leaf_by_leaf) {
  EXPECT_EQ(to_string(sequential_schedule(3)), "F0@0 B0@0 F1@0 B1@0 F2@0 B2@0");
  EXPECT_TRUE(sequential_schedule(0).empty());
  EXPECT_EQ(order_of("zb_h1", {1, 1}, 2, 0), "F0@0 I0@0 W0@0 F1@0 I1@0 W1@0");
}

TEST(Schedule, a_step_without_leaves_is_empty_for_every_kind) {
  for (const ScheduleKind& kind : schedule_kinds()) {
    const Pipeline pipeline{3, kind.refusal({3, 1}).empty() ? 1 : 2};
    const StepSchedule step = step_schedule(kind, pipeline, 0);
    EXPECT_EQ(step.ranks, std::vector<Schedule>(3)) << kind.name;
    EXPECT_EQ(most_live(kind, pipeline, 0, 1), 0);
    EXPECT_EQ(fall_back(kind, pipeline, 0), "");
  }
}

TEST(Schedule, an_unknown_name_is_refused_with_the_known_ones) {
  EXPECT_THAT(message_of([] { (void)schedule_kind("1b1f"); }),
              testing::AllOf(HasSubstr("parallel.schedule"), HasSubstr("'gpipe', '1f1b', 'interleaved', 'zb_h1', 'zb_v'"), HasSubstr("'1b1f'")));
}

TEST(Schedule, grids_that_a_kind_cannot_have_are_refused_with_the_knob) {
  int refused = 0;
  for (const ScheduleKind& kind : schedule_kinds())
    for (int chunks = 0; chunks <= 4; ++chunks) {
      const bool legal = kind.name == "interleaved" ? chunks >= 2 : chunks == (kind.name == "zb_v" ? 2 : 1);
      if (legal) {
        EXPECT_NO_THROW(check_pipeline(kind, {4, chunks})) << kind.name;
        continue;
      }
      EXPECT_THAT(message_of([&] { (void)schedule_of(kind, {4, chunks}, 8, 0); }), HasSubstr("parallel.virtual_stages")) << kind.name << chunks;
      ++refused;
    }
  EXPECT_EQ(refused, 3 * 4 + 2 + 4);
  EXPECT_THAT(message_of([] { check_pipeline(schedule_kind("1f1b"), {0, 1}); }), HasSubstr("parallel.pipeline"));
  EXPECT_THROW((void)schedule_of(schedule_kind("1f1b"), {2, 1}, 4, 2), Error);
}

TEST(Schedule, interleaved_says_that_it_falls_back_and_keeps_its_stages) {
  const ScheduleKind& kind = schedule_kind("interleaved");
  EXPECT_EQ(fall_back(kind, {4, 2}, 8), "");
  EXPECT_THAT(fall_back(kind, {4, 2}, 7), testing::AllOf(HasSubstr("multiple of parallel.pipeline = 4"), HasSubstr("has 7")));
  EXPECT_EQ(step_schedule(kind, {4, 2}, 7).rank_of_stage, step_schedule(kind, {4, 2}, 8).rank_of_stage);
  EXPECT_EQ(order_of("interleaved", {2, 2}, 1, 1), "F0@1 F0@3 B0@3 B0@1");
  for (const char* other : {"gpipe", "1f1b", "zb_h1", "zb_v"}) EXPECT_EQ(fall_back(schedule_kind(other), {4, 2}, 7), "") << other;
}

TEST(Schedule, falling_back_needs_no_more_memory_than_the_kinds_own_order) {
  const ScheduleKind& kind = schedule_kind("interleaved");
  std::int64_t compared = 0;
  for (int chunks = 2; chunks <= 4; ++chunks)
    for (int ranks = 2; ranks <= 8; ++ranks)
      for (std::int64_t leaves = 1; leaves <= 40; ++leaves) {
        if (leaves % ranks == 0) continue;
        for (int rank = 0; rank < ranks; ++rank, ++compared)
          ASSERT_LE(most_live(kind, {ranks, chunks}, leaves, rank), kind.peak_live({ranks, chunks}, (leaves / ranks + 1) * ranks, rank));
      }
  EXPECT_GT(compared, 2000);
}

TEST(Schedule, one_by_one_is_1f1b_where_ranks_have_one_stage) {
  for (int ranks = 1; ranks <= 8; ++ranks)
    for (std::int64_t leaves = 0; leaves <= 20; ++leaves) {
      const StepSchedule step = step_schedule(schedule_kind("1f1b"), {ranks, 1}, leaves);
      ASSERT_EQ(one_by_one(step.rank_of_stage, leaves), step.ranks) << ranks << " ranks, " << leaves << " leaves";
    }
}

TEST(Schedule, evaluation_runs_the_forwards_alone) {
  const StepSchedule step = evaluation_schedule(schedule_kind("zb_v"), {2, 2}, 3);
  EXPECT_FALSE(step.training);
  EXPECT_EQ(to_string(step.ranks[0]), "F0@0 F1@0 F2@0 F0@3 F1@3 F2@3");
  EXPECT_EQ(to_string(step.ranks[1]), "F0@1 F0@2 F1@1 F1@2 F2@1 F2@2");
}

TEST(Schedule, memory_is_counted_by_the_weight_of_each_stage) {
  const Schedule schedule = schedule_of(schedule_kind("zb_v"), {2, 2}, 4, 0);
  EXPECT_EQ(peak_live(schedule), 4);
  const std::vector<std::int64_t> bytes{100, 0, 0, 1};  // stages 0 and 3 sit on rank 0
  EXPECT_EQ(peak_live(schedule, bytes), 400);           // F3@0 while leaves 0, 1 and 2 still live there
  EXPECT_EQ(peak_live({}), 0);
}

}  // namespace
}  // namespace tributary
