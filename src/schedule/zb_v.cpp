// Zero-bubble V: two chunks a rank, placed like a V (stage s and stage 2p - 1 - s on one rank), so that the first rank also holds the loss and every rank the
// same memory: 2p activations of half a rank each, as 1F1B's first rank. Where the three kinds of work take equal time no rank waits between its first and its
// last action. Source: Qi et al. 2024, "Zero Bubble Pipeline Parallelism", section 6, and Qi et al. 2024, "Pipeline Parallelism with Controllable Memory"
// (V-ZB).
#include <algorithm>
#include <array>

#include "base/error.h"
#include "schedule/grids.h"

namespace tributary {
namespace {

// a: the rank's chunk on the way down the V; b: on the way up.
enum Work { forward_a, forward_b, input_a, input_b, weight_a, weight_b };

// One rank's list. In units of equal time a rank's first 2(p - r) - 1 slots pass until the first leaf is back from the bottom of the V; then the two forwards
// take turns until its first gradient arrives, 2r + 1 slots later; then p - r leaves leave by (forward, input, weight) of chunk b, until the first gradient of
// chunk a comes from the rank below. From there each leaf costs six slots, none of them empty.
class Order {
 public:
  Order(std::int64_t p, std::int64_t leaves, std::int64_t rank)
      : leaves_(leaves), stage_a_(static_cast<int>(rank)), stage_b_(static_cast<int>(2 * p - 1 - rank)) {
    schedule_.reserve(static_cast<std::size_t>(6 * leaves));
    repeat(2 * (p - rank) - 1, {forward_a});
    repeat(rank, {forward_b, forward_a});
    repeat(p - rank, {forward_b, input_b, weight_b});
    while (left(forward_a)) repeat(1, {forward_a, input_a, weight_a, forward_b, input_b, weight_b});
    while (left(forward_b)) repeat(1, {input_a, weight_a, forward_b, input_b, weight_b});
    repeat(rank, {input_a, input_b});  // what other ranks wait for goes first
    repeat(p - rank, {weight_a, input_a});
    while (left(input_a) || left(input_b)) repeat(1, {input_b, input_a});
    repeat(leaves, {weight_a});
    repeat(leaves, {weight_b});
  }
  Schedule take() {
    check(schedule_.size() == static_cast<std::size_t>(6 * leaves_), "zb_v has {} actions for {} leaves", schedule_.size(), leaves_);
    return std::move(schedule_);
  }

 private:
  [[nodiscard]] bool left(Work work) const { return done_[work] < leaves_; }
  // Few leaves leave gaps: what has nothing to work on is passed over.
  [[nodiscard]] bool possible(Work work) const { return left(work) && (work <= forward_b || done_[work] < done_[work - 2]); }

  void repeat(std::int64_t times, std::initializer_list<Work> works) {
    constexpr std::array kind_of_work{ActionKind::forward, ActionKind::backward_input, ActionKind::backward_weight};
    for (std::int64_t time = 0; time < times; ++time)
      for (const Work work : works)
        if (possible(work)) schedule_.push_back({kind_of_work[work / 2], done_[work]++, work % 2 == 0 ? stage_a_ : stage_b_});
  }

  std::int64_t leaves_;
  int stage_a_, stage_b_;
  std::array<std::int64_t, 6> done_{};
  Schedule schedule_;
};

std::string zb_v_refusal(Pipeline pipeline) {
  if (pipeline.chunks == 2) return {};
  return fmt::format("parallel.schedule = \"zb_v\" has two stages a rank, found parallel.virtual_stages = {}: set it to 2, or choose \"zb_h1\" (1)",
                     pipeline.chunks);
}

}  // namespace

ScheduleKind zb_v() {
  return {
      "zb_v", zb_v_refusal, any_leaves, [](Pipeline pipeline, int stage) { return std::min(stage, 2 * pipeline.ranks - 1 - stage); },
      [](Pipeline pipeline, std::int64_t leaves, int rank) { return Order(pipeline.ranks, leaves, rank).take(); },
      // 2p from 2p - 1 leaves on.
      [](Pipeline pipeline, std::int64_t leaves, int rank) {
        return std::min<std::int64_t>(leaves, 2 * pipeline.ranks - 1 - rank) + std::min<std::int64_t>(leaves, rank + 1);
      },
      // The last rank begins p - 1 units after the first: p - 1 of 6 m + p - 1.
      [](Pipeline pipeline, std::int64_t leaves) { return static_cast<double>(pipeline.ranks - 1) / static_cast<double>(6 * leaves + pipeline.ranks - 1); }};
}

}  // namespace tributary
