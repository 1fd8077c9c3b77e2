// Zero-bubble H1: 1F1B whose weight products wait; rank r runs those of a leaf r leaves later, so that each rank holds as many leaves as the first, and fills
// with them the time in which the pipeline empties. Source: Qi et al. 2024, "Zero Bubble Pipeline Parallelism", section 3.1 (ZB-H1).
#include <algorithm>

#include "schedule/grids.h"

namespace tributary {
namespace {

Schedule zb_h1_actions(Pipeline pipeline, std::int64_t leaves, int rank) {
  const std::int64_t ahead = std::min<std::int64_t>(pipeline.ranks - rank - 1, leaves);
  Schedule schedule;
  schedule.reserve(static_cast<std::size_t>(3 * leaves));
  for (std::int64_t leaf = 0; leaf < ahead; ++leaf) schedule.push_back({ActionKind::forward, leaf, rank});
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    if (leaf + ahead < leaves) schedule.push_back({ActionKind::forward, leaf + ahead, rank});
    schedule.push_back({ActionKind::backward_input, leaf, rank});
    if (leaf >= rank) schedule.push_back({ActionKind::backward_weight, leaf - rank, rank});
  }
  for (std::int64_t leaf = std::max<std::int64_t>(0, leaves - rank); leaf < leaves; ++leaf) schedule.push_back({ActionKind::backward_weight, leaf, rank});
  return schedule;
}

}  // namespace

ScheduleKind zb_h1() {
  return {
      "zb_h1", [](Pipeline pipeline) { return one_chunk("zb_h1", pipeline); }, any_leaves, round_the_ranks, zb_h1_actions,
      [](Pipeline pipeline, std::int64_t leaves, int) { return std::min<std::int64_t>(leaves, pipeline.ranks); },
      // (p - 1) (T_F + T_B - T_W) = p - 1 of 3 m + p - 1.
      [](Pipeline pipeline, std::int64_t leaves) { return static_cast<double>(pipeline.ranks - 1) / static_cast<double>(3 * leaves + pipeline.ranks - 1); }};
}

}  // namespace tributary
