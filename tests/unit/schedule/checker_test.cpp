#include "schedule/checker.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/error.h"

namespace tributary {
namespace {

using testing::HasSubstr;

constexpr int most_ranks = 16;
constexpr int most_chunks = 4;
constexpr std::int64_t most_leaves = 64;

template <class Visit>
void every_pipeline(const ScheduleKind& kind, const Visit& visit) {
  for (int chunks = 1; chunks <= most_chunks; ++chunks)
    for (int ranks = 1; ranks <= most_ranks; ++ranks)
      if (kind.refusal({ranks, chunks}).empty()) visit(Pipeline{ranks, chunks});
}

std::vector<Program> programs_of(const StepSchedule& step, int ahead = receives_ahead) {
  std::vector<Program> programs;
  for (std::size_t rank = 0; rank < step.ranks.size(); ++rank) programs.push_back(program_of(step, static_cast<int>(rank), ahead));
  return programs;
}

// Everything legal, and every step that falls back: each action once, order, leaf order, pairing, no deadlock with sends that wait, memory.
TEST(Checker, finds_no_fault_in_any_schedule_of_up_to_16_ranks_64_leaves_and_4_chunks) {
  std::int64_t own = 0;
  std::int64_t fallen_back = 0;
  for (const ScheduleKind& kind : schedule_kinds())
    every_pipeline(kind, [&](Pipeline pipeline) {
      for (std::int64_t leaves = 0; leaves <= most_leaves; ++leaves) {
        ASSERT_EQ(fault(kind, pipeline, leaves), "") << kind.name << ", " << pipeline.ranks << " ranks, " << pipeline.chunks << " chunks, " << leaves;
        ++(fall_back(kind, pipeline, leaves).empty() ? own : fallen_back);
      }
    });
  EXPECT_EQ(own + fallen_back, (most_leaves + 1) * most_ranks * (3 + 3 + 1));
  EXPECT_GT(fallen_back, 2000);
}

TEST(Checker, finds_no_fault_in_any_evaluation) {
  std::int64_t checked = 0;
  for (const ScheduleKind& kind : schedule_kinds())
    every_pipeline(kind, [&](Pipeline pipeline) {
      for (const std::int64_t leaves : {1, 2, 5, 16, 33}) {
        const StepSchedule step = evaluation_schedule(kind, pipeline, leaves);
        ASSERT_EQ(schedule_fault(step), "") << kind.name;
        ASSERT_EQ(program_fault(step, programs_of(step)), "") << kind.name << ", " << pipeline.ranks << " ranks, " << leaves << " leaves";
        ++checked;
      }
    });
  EXPECT_EQ(checked, 5 * most_ranks * 7);
}

TEST(Checker, one_receive_ahead_is_enough_for_each_kinds_own_order_but_not_for_all) {
  std::int64_t checked = 0;
  for (const ScheduleKind& kind : schedule_kinds())
    every_pipeline(kind, [&](Pipeline pipeline) {
      for (std::int64_t leaves = 1; leaves <= 32; ++leaves) {
        if (!fall_back(kind, pipeline, leaves).empty()) continue;
        const StepSchedule step = step_schedule(kind, pipeline, leaves);
        ASSERT_EQ(program_fault(step, programs_of(step, 1), 1), "") << kind.name;
        ++checked;
      }
    });
  EXPECT_GT(checked, 2000);
  const StepSchedule fallen_back = step_schedule(schedule_kind("interleaved"), {5, 2}, 14);
  EXPECT_EQ(program_fault(fallen_back, programs_of(fallen_back, 2), 2), "");
  EXPECT_THAT(program_fault(fallen_back, programs_of(fallen_back, 1), 1), HasSubstr("all wait for ever"));
}

// Each fault that the checker can name, made on purpose.
struct BrokenSchedule {
  const char* kind;
  std::function<void(StepSchedule&)> harm;
  const char* expected;
};

TEST(Checker, names_what_is_wrong_with_a_schedule) {
  const std::vector<BrokenSchedule> cases{
      {"1f1b", [](StepSchedule& s) { s.ranks[1].pop_back(); }, "stage 1 runs 3 of 4 leaves backward"},
      {"1f1b", [](StepSchedule& s) { s.ranks[0].erase(s.ranks[0].end() - 1); }, "stage 0 runs 3 of 4 leaves backward"},
      {"zb_h1", [](StepSchedule& s) { s.ranks[1].pop_back(); }, "stage 1 finishes the gradients of 3 of 4 leaves"},
      {"gpipe", [](StepSchedule& s) { std::erase_if(s.ranks[0], [](const Action& a) { return a.leaf == 3; }); }, "stage 0 runs 3 of 4 leaves forward"},
      {"gpipe", [](StepSchedule& s) { s.ranks[0].push_back(s.ranks[0].back()); }, "rank 0, B3@0: expected leaf 4 as the stage's next backward"},
      {"gpipe", [](StepSchedule& s) { std::swap(s.ranks[0][4], s.ranks[0][5]); }, "rank 0, B1@0: expected leaf 0 as the stage's next backward"},
      {"gpipe", [](StepSchedule& s) { std::swap(s.ranks[0][0], s.ranks[0][1]); }, "rank 0, F1@0: expected leaf 0 as the stage's next forward"},
      {"gpipe", [](StepSchedule& s) { std::swap(s.ranks[0][3], s.ranks[0][7]); }, "rank 0, B3@0: before its forward"},
      {"zb_h1", [](StepSchedule& s) { std::swap(s.ranks[0][2], s.ranks[0][3]); }, "rank 0, W0@0: before its backward"},
      {"zb_h1", [](StepSchedule& s) { std::swap(s.ranks[1][10], s.ranks[1][11]); }, "rank 1, W3@1: expected leaf 2 as the stage's next end of a backward"},
      {"zb_h1",
       [](StepSchedule& s) {
         s.ranks[0].push_back({ActionKind::backward, 3, 0});
       },
       "rank 0, B3@0: expected leaf 4"},
      {"1f1b", [](StepSchedule& s) { std::swap(s.ranks[0], s.ranks[1]); }, "rank 0, F0@1: the stage belongs to rank 1"},
      {"1f1b", [](StepSchedule& s) { s.ranks[1][0].stage = 2; }, "rank 1, F0@2: there are 2 stages and 4 leaves"},
      {"1f1b", [](StepSchedule& s) { s.ranks[1][0].leaf = 4; }, "rank 1, F4@1: there are 2 stages and 4 leaves"},
      {"gpipe", [](StepSchedule& s) { s.training = false; }, "stage 0 runs 4 of 0 leaves backward"},
  };
  for (const BrokenSchedule& broken : cases) {
    StepSchedule step = step_schedule(schedule_kind(broken.kind), {2, 1}, 4);
    ASSERT_EQ(schedule_fault(step), "");
    broken.harm(step);
    EXPECT_THAT(schedule_fault(step), HasSubstr(broken.expected)) << broken.kind;
  }
}

std::size_t place_of(const Program& program, const std::string& op) {
  const auto found = std::find_if(program.begin(), program.end(), [&op](const Op& o) { return to_string(o) == op; });
  check(found != program.end(), "no operation '{}'", op);
  return static_cast<std::size_t>(found - program.begin());
}

void remove_op(Program& program, const std::string& op) { program.erase(program.begin() + static_cast<std::ptrdiff_t>(place_of(program, op))); }
void exchange(Program& program, const std::string& a, const std::string& b) { std::swap(program[place_of(program, a)], program[place_of(program, b)]); }

TEST(Program, posts_ahead_awaits_before_and_sends_after_the_compute) {
  const StepSchedule step = step_schedule(schedule_kind("1f1b"), {2, 1}, 2);
  const auto text = [&](int rank) {
    std::vector<std::string> lines;
    for (const Op& op : program_of(step, rank, 1)) lines.push_back(to_string(op));
    return lines;
  };
  EXPECT_THAT(text(0), testing::ElementsAre("post G0 1>0 from 1", "F0@0", "send F0 0>1 to 1", "F1@0", "send F1 0>1 to 1", "await G0 1>0 from 1",
                                            "post G1 1>0 from 1", "B0@0", "await G1 1>0 from 1", "B1@0"));
  EXPECT_THAT(text(1), testing::ElementsAre("post F0 0>1 from 0", "await F0 0>1 from 0", "post F1 0>1 from 0", "F0@1", "B0@1", "send G0 1>0 to 0",
                                            "await F1 0>1 from 0", "F1@1", "B1@1", "send G1 1>0 to 0"));
}

TEST(Program, sends_nothing_between_stages_of_one_rank) {
  for (const char* kind : {"interleaved", "zb_v"})
    for (const Op& op : program_of(step_schedule(schedule_kind(kind), {1, 2}, 3), 0)) EXPECT_EQ(op.kind, Op::Kind::compute) << kind;
  int messages = 0;
  for (const Op& op : program_of(step_schedule(schedule_kind("zb_v"), {2, 2}, 3), 1)) messages += op.kind == Op::Kind::send;
  EXPECT_EQ(messages, 6);  // stage 1 gives gradients to 0, stage 2 activations to 3; between 1 and 2 nothing
}

struct BrokenProgram {
  std::function<void(std::vector<Program>&)> harm;
  const char* expected;
};

TEST(Checker, names_what_is_wrong_with_a_program) {
  const StepSchedule step = step_schedule(schedule_kind("1f1b"), {2, 1}, 4);
  ASSERT_EQ(program_fault(step, programs_of(step)), "");
  const std::vector<BrokenProgram> cases{
      {[](auto& p) { remove_op(p[0], "send F3 0>1 to 1"); }, "all wait for ever: rank 0 in await G3 1>0 from 1, rank 1 in await F3 0>1 from 0"},
      {[](auto& p) { exchange(p[0], "F0@0", "F1@0"); }, "F1@0: not the schedule's next"},
      {[](auto& p) { exchange(p[0], "F0@0", "send F0 0>1 to 1"); }, "send F0 0>1 to 1: sent before it is computed"},
      {[](auto& p) { exchange(p[0], "send F0 0>1 to 1", "send F1 0>1 to 1"); }, "send F1 0>1 to 1: sent before it is computed"},
      {[](auto& p) { exchange(p[1], "post F0 0>1 from 0", "post F1 0>1 from 0"); }, "send F0 0>1 to 1: the receiver expects leaf 1 from stage 0"},
      {[](auto& p) { remove_op(p[1], "post F3 0>1 from 0"); }, "await F3 0>1 from 0: never posted"},
      {[](auto& p) { remove_op(p[1], "await F1 0>1 from 0"); }, "more than 2 receives posted and not awaited"},
      {[](auto& p) { remove_op(p[1], "await F3 0>1 from 0"); }, "F3@1: before it has come from stage 0"},
      {[](auto& p) { p[0].push_back(p[0][place_of(p[0], "await G3 1>0 from 1")]); }, "await G3 1>0 from 1: awaited twice"},
      {[](auto& p) { p[0].push_back(p[0][place_of(p[0], "post G3 1>0 from 1")]); }, "post G3 1>0 from 1: posted twice"},
      {[](auto& p) { p[0].pop_back(); }, "rank 0 computes 7 of 8 actions"},
      {[](auto& p) {
         p[0].push_back({Op::Kind::compute, {ActionKind::forward, 0, 0}, {}, -1});
       },
       "F0@0: not the schedule's next action"},
      {[](auto& p) { p[0][0].peer = 0; }, "between the wrong ranks"},
      {[](auto& p) { p[0][0].message.leaf = 9; }, "no such message"},
      {[](auto& p) { p[0][0].message.traffic = Traffic::forward; }, "no such message"},
      {[](auto& p) { p.pop_back(); }, "1 programs for 2 ranks"},
  };
  for (const BrokenProgram& broken : cases) {
    auto programs = programs_of(step);
    broken.harm(programs);
    EXPECT_THAT(program_fault(step, programs), HasSubstr(broken.expected));
  }
}

TEST(Checker, finds_receives_that_nobody_awaits_and_messages_that_nobody_sends) {
  const StepSchedule training = step_schedule(schedule_kind("gpipe"), {2, 1}, 1);
  StepSchedule step = evaluation_schedule(schedule_kind("gpipe"), {2, 1}, 1);
  auto programs = programs_of(step);
  const Op post = program_of(training, 0)[0];
  ASSERT_EQ(to_string(post), "post G0 1>0 from 1");
  programs[0].push_back(post);
  EXPECT_EQ(program_fault(step, programs), "1 messages are expected, 0 sent");
  auto unread = programs_of(training);
  remove_op(unread[0], "await G0 1>0 from 1");
  remove_op(unread[0], "B0@0");
  StepSchedule without = training;
  without.ranks[0].pop_back();
  EXPECT_EQ(program_fault(without, unread), "1 messages are never awaited");
}

TEST(Checker, finds_ranks_that_wait_for_each_other_because_their_receives_come_late) {
  const StepSchedule step = step_schedule(schedule_kind("1f1b"), {2, 1}, 4);
  auto programs = programs_of(step, 1);
  for (Program& program : programs) {  // each receive posted no earlier than it is awaited
    Program late;
    for (const Op& op : program) {
      if (op.kind == Op::Kind::post_receive) continue;
      if (op.kind == Op::Kind::wait_receive) late.push_back({Op::Kind::post_receive, {}, op.message, op.peer});
      late.push_back(op);
    }
    program = late;
  }
  EXPECT_EQ(program_fault(step, programs), "all wait for ever: rank 0 in send F1 0>1 to 1, rank 1 in send G0 1>0 to 0");
}

TEST(Checker, finds_a_stage_that_runs_before_the_one_it_takes_from_on_the_same_rank) {
  StepSchedule step = step_schedule(schedule_kind("interleaved"), {1, 2}, 1);
  std::swap(step.ranks[0][0], step.ranks[0][1]);
  EXPECT_EQ(schedule_fault(step), "");  // each stage by itself is right
  EXPECT_THAT(program_fault(step, programs_of(step)), HasSubstr("F0@1: before it has run on stage 0"));
}

TEST(Checker, holds_a_kind_to_its_formula_of_memory) {
  ScheduleKind kind = schedule_kind("1f1b");
  ASSERT_EQ(fault(kind, {4, 1}, 8), "");
  kind.peak_live = [](Pipeline, std::int64_t leaves, int) { return leaves; };
  EXPECT_EQ(fault(kind, {4, 1}, 8), "rank 0 holds 4 activations, the formula says 8");
}

TEST(Checker, refuses_a_kind_whose_ranks_disagree) {
  ScheduleKind kind = schedule_kind("gpipe");
  kind.actions = [](Pipeline pipeline, std::int64_t leaves, int rank) {
    Schedule schedule = schedule_kind("gpipe").actions(pipeline, leaves, rank);
    if (rank == 1) std::reverse(schedule.begin(), schedule.begin() + leaves);
    return schedule;
  };
  EXPECT_THAT(fault(kind, {2, 1}, 3), HasSubstr("rank 1, F2@1: expected leaf 0"));
}

}  // namespace
}  // namespace tributary
