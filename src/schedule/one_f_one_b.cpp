// 1F1B: a rank runs as many forwards as there are ranks from here to the end, then one backward, one forward. Same bubble as GPipe, memory of at most p leaves.
// Source: Narayanan et al. 2019, "PipeDream: Generalized Pipeline Parallelism for DNN Training", section 3.2; with a flush at the end of the step: Narayanan et
// al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", section 2.2.1.
#include <algorithm>

#include "schedule/grids.h"

namespace tributary {
namespace {

Schedule one_f_one_b_actions(Pipeline pipeline, std::int64_t leaves, int rank) {
  const std::int64_t ahead = std::min<std::int64_t>(pipeline.ranks - rank - 1, leaves);
  Schedule schedule;
  schedule.reserve(static_cast<std::size_t>(2 * leaves));
  for (std::int64_t leaf = 0; leaf < ahead; ++leaf) schedule.push_back({ActionKind::forward, leaf, rank});
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    if (leaf + ahead < leaves) schedule.push_back({ActionKind::forward, leaf + ahead, rank});
    schedule.push_back({ActionKind::backward, leaf, rank});
  }
  return schedule;
}

}  // namespace

ScheduleKind one_f_one_b() {
  return {"1f1b", [](Pipeline pipeline) { return one_chunk("1f1b", pipeline); }, any_leaves, round_the_ranks, one_f_one_b_actions,
          [](Pipeline pipeline, std::int64_t leaves, int rank) { return std::min<std::int64_t>(leaves, pipeline.ranks - rank); },
          // The last rank waits p - 1 forwards, the first p - 1 backwards of two units after it: 3 (p - 1) of 3 (m + p - 1).
          [](Pipeline pipeline, std::int64_t leaves) { return static_cast<double>(pipeline.ranks - 1) / static_cast<double>(leaves + pipeline.ranks - 1); }};
}

}  // namespace tributary
