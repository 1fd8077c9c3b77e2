// An order for any placement of stages and any number of leaves, made by simulating all ranks in units of time: each free rank takes the most urgent action
// whose input is there.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/schedule.h"

namespace tributary {

// 1F1B in every stage, whichever rank it sits on: stage s of S on p ranks has at most min(p, S - s) leaves between forward and backward. With one stage a rank
// this is 1F1B itself; with chunks placed as in the interleaved schedule, or like a V, a rank never holds more than in those.
// Messages of a channel are taken in the order in which they were sent, and nobody begins what it could not send at once (receives_ahead, program.h). Any
// placement, any leaves >= 0.
[[nodiscard]] std::vector<Schedule> one_by_one(const std::vector<int>& rank_of_stage, std::int64_t leaves);

// A bound on what a rank holds at once in that order.
[[nodiscard]] std::int64_t one_by_one_live(const std::vector<int>& rank_of_stage, std::int64_t leaves, int rank);

}  // namespace tributary
