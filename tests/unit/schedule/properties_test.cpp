// What holds for any costs. Cases are drawn by rapidcheck with a fixed seed (RC_PARAMS in tests/CMakeLists.txt), failures are shrunk to small ones.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "schedule/checker.h"
#include "schedule/list_order.h"
#include "schedule/timeline.h"

namespace tributary {
namespace {

double seconds(int from = 0) { return *rc::gen::inRange(from, 400) / 64.0; }  // sums of these are exact

struct Case {
  const ScheduleKind* kind;
  Pipeline pipeline;
};

Case any_case() {
  const ScheduleKind& kind = schedule_kinds()[*rc::gen::inRange<std::size_t>(0, schedule_kinds().size())];
  const int ranks = *rc::gen::inRange(1, 9);
  const int chunks = kind.name == "interleaved" ? *rc::gen::inRange(2, 5) : kind.name == "zb_v" ? 2 : 1;
  return {&kind, {ranks, chunks}};
}

StepCosts any_costs(int stages, std::int64_t leaves) {
  StepCosts costs;
  for (int s = 0; s < stages; ++s) costs.stages.push_back({seconds(), seconds(), seconds()});
  for (int s = 0; s + 1 < stages; ++s) costs.boundaries.push_back({seconds(), seconds()});
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) costs.leaf_factors.push_back(*rc::gen::inRange(1, 5));
  return costs;
}

double work_of_rank(const StepSchedule& step, const StepCosts& costs, int rank) {
  double factors = 0;
  for (const double factor : costs.leaf_factors) factors += factor;
  double work_s = 0;
  for (std::size_t s = 0; s < costs.stages.size(); ++s)
    if (step.rank_of_stage[s] == rank) work_s += factors * (costs.stages[s].forward_s + costs.stages[s].backward_input_s + costs.stages[s].backward_weight_s);
  return work_s;
}

// One leaf down and up all stages, if nothing were in its way.
double path_of_leaf(const StepSchedule& step, const StepCosts& costs, bool split, double factor) {
  double path_s = split ? costs.stages[0].backward_weight_s : 0;
  for (std::size_t s = 0; s < costs.stages.size(); ++s) {
    const StageCost& stage = costs.stages[s];
    path_s += stage.forward_s + stage.backward_input_s + (split ? 0 : stage.backward_weight_s);
    if (s + 1 < costs.stages.size() && step.rank_of_stage[s] != step.rank_of_stage[s + 1])
      path_s += costs.boundaries[s].forward_s + costs.boundaries[s].gradient_s;
  }
  return path_s * factor;
}

RC_GTEST_PROP(Timelines, are_no_shorter_than_any_ranks_work_and_any_leafs_path, ()) {
  const auto [kind, pipeline] = any_case();
  const auto leaves = *rc::gen::inRange<std::int64_t>(1, 40);
  const StepSchedule step = step_schedule(*kind, pipeline, leaves);
  const StepCosts costs = any_costs(pipeline.stages(), leaves);
  const Timeline timeline = simulate(step, costs);
  const bool split = std::any_of(step.ranks[0].begin(), step.ranks[0].end(), [](const Action& a) { return a.kind == ActionKind::backward_input; });
  for (int rank = 0; rank < pipeline.ranks; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    double work_s = 0;
    double free_at = 0;
    for (const TimedAction& a : timeline.ranks[r]) {
      RC_ASSERT(a.begin_s >= free_at);
      RC_ASSERT(a.end_s >= a.begin_s);
      free_at = a.end_s;
      work_s += a.end_s - a.begin_s;
    }
    RC_ASSERT(work_s == work_of_rank(step, costs, rank));
    RC_ASSERT(timeline.span_s >= work_s);
    RC_ASSERT(timeline.idle_share[r] >= 0 && timeline.idle_share[r] <= 1);
  }
  for (const double factor : costs.leaf_factors) RC_ASSERT(timeline.span_s >= path_of_leaf(step, costs, split, factor));
}

RC_GTEST_PROP(Timelines, never_get_shorter_where_anything_gets_slower, ()) {
  const auto [kind, pipeline] = any_case();
  const auto leaves = *rc::gen::inRange<std::int64_t>(1, 24);
  const StepSchedule step = step_schedule(*kind, pipeline, leaves);
  StepCosts costs = any_costs(pipeline.stages(), leaves);
  const double before_s = simulate(step, costs).span_s;
  StageCost& stage = costs.stages[*rc::gen::inRange<std::size_t>(0, costs.stages.size())];
  double* const slower[] = {&stage.forward_s, &stage.backward_input_s, &stage.backward_weight_s, &costs.leaf_factors[0]};
  *slower[*rc::gen::inRange(0, 4)] += 1;
  if (!costs.boundaries.empty()) costs.boundaries[*rc::gen::inRange<std::size_t>(0, costs.boundaries.size())].gradient_s += seconds();
  RC_ASSERT(simulate(step, costs).span_s >= before_s);
}

// Orders that only grow at their end. An order that falls back now and then need not: it may take longer for 7 leaves than the kind's own for 8.
RC_GTEST_PROP(Timelines, get_longer_with_more_leaves, ()) {
  const auto [kind, pipeline] = any_case();
  RC_PRE(kind->name != "zb_v");
  const int more = kind->name == "interleaved" ? pipeline.ranks : 1;
  const std::int64_t leaves = more * *rc::gen::inRange<std::int64_t>(1, 1 + 24 / more);
  StepCosts costs = any_costs(pipeline.stages(), leaves + more);
  const double longer_s = simulate(step_schedule(*kind, pipeline, leaves + more), costs).span_s;
  costs.leaf_factors.resize(static_cast<std::size_t>(leaves));
  RC_ASSERT(simulate(step_schedule(*kind, pipeline, leaves), costs).span_s <= longer_s);
}

RC_GTEST_PROP(Timelines, of_zero_bubble_v_get_longer_with_more_leaves_in_equal_times, ()) {
  const Pipeline pipeline{*rc::gen::inRange(1, 17), 2};
  const auto leaves = *rc::gen::inRange<std::int64_t>(1, 64);
  const auto span_s = [&](std::int64_t count) { return simulate(step_schedule(schedule_kind("zb_v"), pipeline, count), unit_costs(pipeline.stages())).span_s; };
  RC_ASSERT(span_s(leaves) < span_s(leaves + 1));
}

RC_GTEST_PROP(Orders, one_by_one_is_right_for_any_placement, ()) {
  const int ranks = *rc::gen::inRange(1, 9);
  StepSchedule step;
  step.leaves = *rc::gen::inRange<std::int64_t>(0, 30);
  for (int s = 0; s < ranks * *rc::gen::inRange(1, 5); ++s) step.rank_of_stage.push_back(s % ranks);
  for (std::size_t s = step.rank_of_stage.size(); s > 1; --s) std::swap(step.rank_of_stage[s - 1], step.rank_of_stage[*rc::gen::inRange<std::size_t>(0, s)]);
  step.ranks = one_by_one(step.rank_of_stage, step.leaves);
  RC_ASSERT(schedule_fault(step) == "");
  std::vector<Program> programs;
  for (int rank = 0; rank < ranks; ++rank) {
    programs.push_back(program_of(step, rank));
    RC_ASSERT(peak_live(step.ranks[static_cast<std::size_t>(rank)]) <= one_by_one_live(step.rank_of_stage, step.leaves, rank));
  }
  RC_ASSERT(program_fault(step, programs) == "");
}

RC_GTEST_PROP(Programs, are_right_with_any_number_of_receives_ahead, ()) {
  const auto [kind, pipeline] = any_case();
  const StepSchedule step = step_schedule(*kind, pipeline, *rc::gen::inRange<std::int64_t>(0, 40));
  const int ahead = *rc::gen::inRange(receives_ahead, 12);
  std::vector<Program> programs;
  for (int rank = 0; rank < pipeline.ranks; ++rank) programs.push_back(program_of(step, rank, ahead));
  RC_ASSERT(program_fault(step, programs, ahead) == "");
}

}  // namespace
}  // namespace tributary
