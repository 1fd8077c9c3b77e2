#include "schedule/schedule.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "schedule/list_order.h"

// The table: one line a schedule, the name of a function that is defined in the file of that name.
#define TRIBUTARY_SCHEDULES(row) row(gpipe) row(one_f_one_b) row(interleaved) row(zb_h1) row(zb_v)

namespace tributary {

#define TRIBUTARY_DECLARED(name) ScheduleKind name();
TRIBUTARY_SCHEDULES(TRIBUTARY_DECLARED)
#undef TRIBUTARY_DECLARED

const std::vector<ScheduleKind>& schedule_kinds() {
#define TRIBUTARY_ROW(name) name(),
  static const std::vector<ScheduleKind> kinds{TRIBUTARY_SCHEDULES(TRIBUTARY_ROW)};
#undef TRIBUTARY_ROW
  return kinds;
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const ScheduleKind& kind : schedule_kinds()) names.emplace_back(kind.name);
  return names;
}

const ScheduleKind& schedule_kind(std::string_view name) {
  const auto& kinds = schedule_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [name](const ScheduleKind& kind) { return kind.name == name; });
  if (found != kinds.end()) return *found;
  fail(ErrorKind::configuration, "parallel.schedule: expected one of '{}', found '{}'", fmt::join(schedule_names(), "', '"), name);
}

void check_pipeline(const ScheduleKind& kind, Pipeline pipeline) {
  if (pipeline.ranks < 1) fail(ErrorKind::configuration, "parallel.pipeline: expected at least 1, found {}", pipeline.ranks);
  if (pipeline.chunks < 1) fail(ErrorKind::configuration, "parallel.virtual_stages: expected at least 1, found {}", pipeline.chunks);
  if (const std::string why = kind.refusal(pipeline); !why.empty()) throw Error(ErrorKind::configuration, why);
}

std::string fall_back(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves) {
  const std::string why = leaves == 0 ? "" : kind.misfit(pipeline, leaves);
  return why.empty() ? "" : fmt::format("{}; each stage runs one forward, one backward instead", why);
}

std::vector<int> placement(const ScheduleKind& kind, Pipeline pipeline) {
  check_pipeline(kind, pipeline);
  std::vector<int> ranks;
  for (int stage = 0; stage < pipeline.stages(); ++stage) ranks.push_back(kind.rank_of_stage(pipeline, stage));
  return ranks;
}

Schedule schedule_of(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves, int rank) {
  check_pipeline(kind, pipeline);
  check(rank >= 0 && rank < pipeline.ranks && leaves >= 0, "a schedule of rank {} of {}, {} leaves", rank, pipeline.ranks, leaves);
  if (leaves == 0) return {};
  if (kind.misfit(pipeline, leaves).empty()) return kind.actions(pipeline, leaves, rank);
  return one_by_one(placement(kind, pipeline), leaves)[static_cast<std::size_t>(rank)];
}

std::int64_t most_live(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves, int rank) {
  if (leaves == 0) return 0;
  if (kind.misfit(pipeline, leaves).empty()) return kind.peak_live(pipeline, leaves, rank);
  return one_by_one_live(placement(kind, pipeline), leaves, rank);
}

StepSchedule step_schedule(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves) {
  StepSchedule step{leaves, true, placement(kind, pipeline), {}};
  if (leaves > 0 && !kind.misfit(pipeline, leaves).empty()) {
    step.ranks = one_by_one(step.rank_of_stage, leaves);
    return step;
  }
  for (int rank = 0; rank < pipeline.ranks; ++rank) step.ranks.push_back(schedule_of(kind, pipeline, leaves, rank));
  return step;
}

StepSchedule evaluation_schedule(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves) {
  StepSchedule step = step_schedule(kind, pipeline, leaves);
  step.training = false;
  for (Schedule& schedule : step.ranks) std::erase_if(schedule, [](const Action& action) { return action.kind != ActionKind::forward; });
  return step;
}

std::int64_t peak_live(const Schedule& schedule, std::span<const std::int64_t> weights) {
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const Action& action : schedule) {
    const std::int64_t weight = weights.empty() ? 1 : weights[static_cast<std::size_t>(action.stage)];
    if (action.kind == ActionKind::forward) live += weight;
    peak = std::max(peak, live);
    if (ends_life(action.kind)) live -= weight;
  }
  return peak;
}

std::string to_string(const Action& action) {
  constexpr std::string_view letters = "FBIW";
  return fmt::format("{}{}@{}", letters[static_cast<std::size_t>(action.kind)], action.leaf, action.stage);
}

std::string to_string(const Schedule& schedule) {
  std::string text;
  for (const Action& action : schedule) text += fmt::format("{}{}", text.empty() ? "" : " ", to_string(action));
  return text;
}

Schedule sequential_schedule(std::int64_t leaves) { return schedule_of(schedule_kind("1f1b"), {1, 1}, leaves, 0); }

}  // namespace tributary
