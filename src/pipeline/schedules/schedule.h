// A schedule is data: what one rank does, in order. Schedules are pure functions (stages, leaves, rank) -> Schedule.
#pragma once

#include <cstdint>
#include <vector>

namespace tributary {

enum class ActionKind { forward, backward };

struct Action {
  ActionKind kind;
  std::int64_t leaf = 0;  // number among this pipeline's leaves
  int stage = 0;
  bool operator==(const Action&) const = default;
};

using Schedule = std::vector<Action>;

// One stage: forward, backward, next leaf; one leaf's activations live at a time.
[[nodiscard]] Schedule sequential_schedule(std::int64_t leaves);

}  // namespace tributary
