// How far the steady clock of another machine is from this one's, from the times at which messages went to and fro.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

struct Ping {  // of three readings: when it left, when the other rank answered (on the other's clock), when the answer was back
  std::int64_t sent_ns = 0, answered_ns = 0, received_ns = 0;
};

struct ClockOffset {
  std::int64_t offset_ns = 0;  // the other clock minus this one
  std::int64_t error_ns = 0;   // at most, if neither clock drifted meanwhile
};

// The fastest round trip tells most: the answer was given at some time in it. Pure. Throws: Error{internal} without pings.
[[nodiscard]] ClockOffset estimate_clock_offset(std::span<const Ping> pings);

// [ranks] against rank 0, on rank 0; nothing elsewhere. Ranks that share rank 0's machine share its clock: exactly zero. machine_of_rank: of every rank;
// clock: in nanoseconds. Collective: all ranks of `comm`.
[[nodiscard]] std::vector<ClockOffset> measure_clock_offsets(const Communicator& comm, std::span<const int> machine_of_rank,
                                                             const std::function<std::int64_t()>& clock);

}  // namespace tributary
