// When each action of a step begins and ends, from what each stage and each message costs. Pure; no clock.
#pragma once

#include <vector>

#include "schedule/schedule.h"

namespace tributary {

struct StageCost {  // of one leaf
  double forward_s = 0;
  double backward_input_s = 0;
  double backward_weight_s = 0;  // a whole backward costs both
};

struct BoundaryCost {  // of one leaf's message, where the two stages sit on different ranks
  double forward_s = 0;
  double gradient_s = 0;
};

struct StepCosts {
  std::vector<StageCost> stages;         // [stages]
  std::vector<BoundaryCost> boundaries;  // [stages - 1]; empty: messages take no time
  std::vector<double> leaf_factors;      // [leaves] work and messages of a leaf, relative to the costs; empty: 1
};

struct TimedAction {
  Action action;
  double begin_s = 0;
  double end_s = 0;
};

struct Timeline {
  std::vector<std::vector<TimedAction>> ranks;
  double span_s = 0;                    // from the start of the step to the last action of any rank
  std::vector<double> idle_share;       // [ranks] of the span; 0 for an empty step
  [[nodiscard]] double bubble() const;  // mean of the ranks' idle shares
};

// A rank runs its actions one after the other, each as soon as its input is there. Messages take nothing of the ranks' time; those of one channel (from, to,
// forward or gradient) follow one another. Throws: Error{internal} for sizes that do not fit, and for schedules that wait for each other.
[[nodiscard]] Timeline simulate(const StepSchedule& step, const StepCosts& costs);

// Every kind of work of every stage takes one second, messages none.
[[nodiscard]] StepCosts unit_costs(int stages);

}  // namespace tributary
