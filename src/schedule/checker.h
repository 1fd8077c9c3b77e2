// Proves that a step's schedules and programs are right: one checker for every kind. Each function returns what is wrong first,
// or "".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedule/program.h"
#include "schedule/schedule.h"

namespace tributary {

// Every action once, on the rank that owns its stage; forward before backward before weight products; each kind of a stage, and the ends of its backwards, in
// ascending leaf order.
[[nodiscard]] std::string schedule_fault(const StepSchedule& step);

// Runs the programs of all ranks together, where a send waits until its receive has been posted: every compute is the schedule's next and has its inputs; sends
// and receives pair up, in the same order on both sides of a channel; no receive is left over; no channel has more than `ahead` receives posted and not
// awaited; nobody waits for ever.
[[nodiscard]] std::string program_fault(const StepSchedule& step, const std::vector<Program>& programs, int ahead = receives_ahead);

// Both, and the memory of every rank as the formula of the kind says (a step that falls back: at most as bounded).
[[nodiscard]] std::string fault(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves);

}  // namespace tributary
