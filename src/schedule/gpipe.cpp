// GPipe: all forwards, then all backwards. Source: Huang et al. 2019, "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism",
// section 2.3; backwards ascend here.
#include "schedule/grids.h"

namespace tributary {
namespace {

Schedule gpipe_actions(Pipeline, std::int64_t leaves, int rank) {
  Schedule schedule;
  schedule.reserve(static_cast<std::size_t>(2 * leaves));
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) schedule.push_back({ActionKind::forward, leaf, rank});
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) schedule.push_back({ActionKind::backward, leaf, rank});
  return schedule;
}

}  // namespace

ScheduleKind gpipe() {
  return {"gpipe", [](Pipeline pipeline) { return one_chunk("gpipe", pipeline); }, any_leaves, round_the_ranks, gpipe_actions,
          [](Pipeline, std::int64_t leaves, int) { return leaves; },
          // Filling takes p - 1 forwards, emptying p - 1 backwards of two units: 3 (p - 1) of 3 (m + p - 1).
          [](Pipeline pipeline, std::int64_t leaves) { return static_cast<double>(pipeline.ranks - 1) / static_cast<double>(leaves + pipeline.ranks - 1); }};
}

}  // namespace tributary
