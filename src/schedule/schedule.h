// A schedule is data: what one rank of a pipeline does in a step, in order. Schedules are pure functions (stages, leaves, rank) -> actions.
//
// The blocks of a model are cut into S = ranks * chunks stages, numbered in the order of the blocks; a rank owns `chunks` of them (virtual stages), which ones
// the kind of schedule decides. The leaves of this pipeline in this step are numbered 0 .. leaves - 1.
// Forwards, backwards and weight products of a stage each run in ascending leaf order, so that sums over leaves never depend on the schedule.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

enum class ActionKind {
  forward,
  backward,         // gradients of inputs and of weights
  backward_input,   // gradients of inputs alone; weight products wait
  backward_weight,  // the waiting weight products
};

struct Action {
  ActionKind kind = ActionKind::forward;
  std::int64_t leaf = 0;  // number among this pipeline's leaves
  int stage = 0;
  bool operator==(const Action&) const = default;
};

// An activation lives from its forward to the action that finishes the leaf's gradients of the stage.
[[nodiscard]] constexpr bool ends_life(ActionKind kind) { return kind == ActionKind::backward || kind == ActionKind::backward_weight; }
// The action that takes the gradient of the next stage and gives one to the stage before.
[[nodiscard]] constexpr bool carries_gradient(ActionKind kind) { return kind == ActionKind::backward || kind == ActionKind::backward_input; }

using Schedule = std::vector<Action>;  // of one rank

struct Pipeline {
  int ranks = 1;   // p: parallel.pipeline
  int chunks = 1;  // v: parallel.virtual_stages
  [[nodiscard]] int stages() const { return ranks * chunks; }
  bool operator==(const Pipeline&) const = default;
};

// One row of the table of schedules. Each kind also works for one rank.
struct ScheduleKind {
  std::string_view name;
  // Why this grid can't have this kind, with the knob to turn; empty: it can.
  std::string (*refusal)(Pipeline);
  // Why a step of so many leaves can't run in this order; empty: it can. No leaves: it can.
  std::string (*misfit)(Pipeline, std::int64_t leaves);
  int (*rank_of_stage)(Pipeline, int stage);
  // The order of one rank. Only for grids and leaves that neither of the above refuses.
  Schedule (*actions)(Pipeline, std::int64_t leaves, int rank);
  // The largest number of activations, each of one leaf in one stage, that a rank holds at once: exact.
  std::int64_t (*peak_live)(Pipeline, std::int64_t leaves, int rank);
  // Share of the ranks' time lost, 1 - (work of all ranks) / (ranks * span), where the span goes from the start of the step to the last action of any rank,
  // every stage takes one unit for the forward, one for the input gradients and one for the weight products, and messages take no time.
  // Exact for leaves >= ranks (zb_v: 2 * ranks).
  double (*bubble)(Pipeline, std::int64_t leaves);
};

// "gpipe", "1f1b", "interleaved", "zb_h1", "zb_v".
[[nodiscard]] const std::vector<ScheduleKind>& schedule_kinds();
[[nodiscard]] std::vector<std::string> schedule_names();
// Throws: Error{configuration} with the names.
[[nodiscard]] const ScheduleKind& schedule_kind(std::string_view name);
// Throws: Error{configuration} with the refusal, and for fewer than one rank or chunk.
void check_pipeline(const ScheduleKind& kind, Pipeline pipeline);

// Empty where a step of so many leaves runs in the kind's own order, else a sentence on why it falls back to one_by_one() (list_order.h): stages stay where
// they are, and the memory is at most that of the kind's own order.
[[nodiscard]] std::string fall_back(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves);

// What a rank does in a step of so many leaves, fallen back where it must. Any leaves >= 0. Throws: as check_pipeline(); Error{internal} for another rank.
[[nodiscard]] Schedule schedule_of(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves, int rank);

// What schedule_of() holds at most: exact in the kind's own order, a bound where it falls back.
[[nodiscard]] std::int64_t most_live(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves, int rank);

// The schedules of all ranks.
struct StepSchedule {
  std::int64_t leaves = 0;
  bool training = true;            // false: forwards alone
  std::vector<int> rank_of_stage;  // [stages]
  std::vector<Schedule> ranks;     // [ranks]
  [[nodiscard]] int stages() const { return static_cast<int>(rank_of_stage.size()); }
};
[[nodiscard]] StepSchedule step_schedule(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves);
// Evaluation: the same without its backwards.
[[nodiscard]] StepSchedule evaluation_schedule(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves);

// [stages] which rank owns each. Throws: as check_pipeline().
[[nodiscard]] std::vector<int> placement(const ScheduleKind& kind, Pipeline pipeline);

// Counted, not by formula: the largest sum over the activations alive at one time of weight[stage] (bytes, say); without weights each counts one.
[[nodiscard]] std::int64_t peak_live(const Schedule& schedule, std::span<const std::int64_t> weights = {});

// "F2@0 B0@1": kind (F, B, I, W), leaf, stage. Two schedules are equal where their texts are.
[[nodiscard]] std::string to_string(const Action& action);
[[nodiscard]] std::string to_string(const Schedule& schedule);

// One rank, one stage: forward, backward, next leaf; one leaf's activations live at a time.
[[nodiscard]] Schedule sequential_schedule(std::int64_t leaves);

}  // namespace tributary
