#include "schedule/timeline.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

constexpr double not_yet = -1;

class Simulation {
 public:
  Simulation(const StepSchedule& step, const StepCosts& costs)
      : step_(step), costs_(costs), ranks_(step.ranks.size()), free_at_(ranks_), link_free_at_(ranks_ * ranks_ * 2) {
    const auto stages = step.rank_of_stage.size();
    const auto leaves = static_cast<std::size_t>(step.leaves);
    check(costs.stages.size() == stages, "costs of {} stages for {}", costs.stages.size(), stages);
    check(costs.boundaries.empty() || costs.boundaries.size() + 1 == stages, "costs of {} boundaries between {} stages", costs.boundaries.size(), stages);
    check(costs.leaf_factors.empty() || costs.leaf_factors.size() == leaves, "factors of {} leaves for {}", costs.leaf_factors.size(), leaves);
    for (auto& times : arrival_) times.assign(stages * leaves, not_yet);
    timeline_.ranks.resize(ranks_);
  }

  Timeline run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < ranks_; ++rank)
        while (advance(rank)) moved = true;
    }
    for (std::size_t rank = 0; rank < ranks_; ++rank) {
      check(timeline_.ranks[rank].size() == step_.ranks[rank].size(), "the schedules wait for each other: rank {} after {} of {} actions", rank,
            timeline_.ranks[rank].size(), step_.ranks[rank].size());
      timeline_.span_s = std::max(timeline_.span_s, free_at_[rank]);
    }
    for (const auto& actions : timeline_.ranks) {
      double busy_s = 0;
      for (const TimedAction& a : actions) busy_s += a.end_s - a.begin_s;
      timeline_.idle_share.push_back(timeline_.span_s > 0 ? 1 - busy_s / timeline_.span_s : 0);
    }
    return std::move(timeline_);
  }

 private:
  enum Input { activation, gradient };  // of a stage: what the neighbour gives

  [[nodiscard]] std::size_t cell(int stage, std::int64_t leaf) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(step_.leaves) + static_cast<std::size_t>(leaf);
  }
  [[nodiscard]] double factor(std::int64_t leaf) const { return costs_.leaf_factors.empty() ? 1 : costs_.leaf_factors[static_cast<std::size_t>(leaf)]; }

  [[nodiscard]] double duration(const Action& action) const {
    const StageCost& cost = costs_.stages[static_cast<std::size_t>(action.stage)];
    switch (action.kind) {
      case ActionKind::forward:
        return cost.forward_s * factor(action.leaf);
      case ActionKind::backward:
        return (cost.backward_input_s + cost.backward_weight_s) * factor(action.leaf);
      case ActionKind::backward_input:
        return cost.backward_input_s * factor(action.leaf);
      default:
        return cost.backward_weight_s * factor(action.leaf);
    }
  }

  // When the action's input is there. A stage's own forward came earlier in the same list.
  [[nodiscard]] double input_at(const Action& action) const {
    if (action.kind == ActionKind::backward_weight) return 0;
    const bool forward = action.kind == ActionKind::forward;
    if (forward ? action.stage == 0 : action.stage + 1 == step_.stages()) return 0;
    return arrival_[forward ? activation : gradient][cell(action.stage, action.leaf)];
  }

  bool advance(std::size_t rank) {
    auto& done = timeline_.ranks[rank];
    if (done.size() == step_.ranks[rank].size()) return false;
    const Action& action = step_.ranks[rank][done.size()];
    const double input_s = input_at(action);
    if (input_s == not_yet) return false;
    const double begin_s = std::max(free_at_[rank], input_s);
    free_at_[rank] = begin_s + duration(action);
    done.push_back({action, begin_s, free_at_[rank]});
    if (action.kind == ActionKind::forward && action.stage + 1 < step_.stages()) deliver(action, action.stage + 1, activation);
    if (carries_gradient(action.kind) && action.stage > 0) deliver(action, action.stage - 1, gradient);
    return true;
  }

  void deliver(const Action& action, int to_stage, Input input) {
    const auto from = static_cast<std::size_t>(step_.rank_of_stage[static_cast<std::size_t>(action.stage)]);
    const auto to = static_cast<std::size_t>(step_.rank_of_stage[static_cast<std::size_t>(to_stage)]);
    double& arrival_s = arrival_[input][cell(to_stage, action.leaf)];
    arrival_s = free_at_[from];
    if (from == to || costs_.boundaries.empty()) return;
    const BoundaryCost& cost = costs_.boundaries[static_cast<std::size_t>(std::min(action.stage, to_stage))];
    double& link_s = link_free_at_[(from * ranks_ + to) * 2 + input];
    link_s = std::max(link_s, arrival_s) + (input == activation ? cost.forward_s : cost.gradient_s) * factor(action.leaf);
    arrival_s = link_s;
  }

  const StepSchedule& step_;
  const StepCosts& costs_;
  std::size_t ranks_;
  std::vector<double> free_at_;                 // [ranks]
  std::vector<double> link_free_at_;            // [from, to, input]
  std::array<std::vector<double>, 2> arrival_;  // [input][stage, leaf]
  Timeline timeline_;
};

}  // namespace

double Timeline::bubble() const {
  return idle_share.empty() ? 0 : std::accumulate(idle_share.begin(), idle_share.end(), 0.0) / static_cast<double>(idle_share.size());
}

Timeline simulate(const StepSchedule& step, const StepCosts& costs) { return Simulation(step, costs).run(); }

StepCosts unit_costs(int stages) { return {std::vector<StageCost>(static_cast<std::size_t>(stages), {1, 1, 1}), {}, {}}; }

}  // namespace tributary
