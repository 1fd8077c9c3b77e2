#include "pipeline/schedules/schedule.h"

namespace tributary {

Schedule sequential_schedule(std::int64_t leaves) {
  Schedule schedule;
  schedule.reserve(static_cast<std::size_t>(2 * leaves));
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    schedule.push_back({ActionKind::forward, leaf, 0});
    schedule.push_back({ActionKind::backward, leaf, 0});
  }
  return schedule;
}

}  // namespace tributary
