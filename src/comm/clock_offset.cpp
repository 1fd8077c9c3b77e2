#include "comm/clock_offset.h"

#include <algorithm>

#include "base/error.h"
#include "comm/transfer.h"

namespace tributary {
namespace {

constexpr int rounds = 32;  // enough that one of them meets no other traffic

std::span<std::byte> bytes_of(std::int64_t& value) { return std::as_writable_bytes(std::span(&value, 1)); }

ClockOffset ping(const Communicator& comm, int rank, const std::function<std::int64_t()>& clock) {
  std::vector<Ping> pings(rounds);
  for (Ping& one : pings) {
    Transfer answer = Transfer::receive(comm, bytes_of(one.answered_ns), rank);
    one.sent_ns = clock();
    std::int64_t question = one.sent_ns;
    Transfer::send(comm, bytes_of(question), rank).wait();
    answer.wait();
    one.received_ns = clock();
  }
  return estimate_clock_offset(pings);
}

void answer(const Communicator& comm, const std::function<std::int64_t()>& clock) {
  for (int round = 0; round < rounds; ++round) {
    std::int64_t question = 0;
    Transfer::receive(comm, bytes_of(question), 0).wait();
    std::int64_t now = clock();
    Transfer::send(comm, bytes_of(now), 0).wait();
  }
}

}  // namespace

ClockOffset estimate_clock_offset(std::span<const Ping> pings) {
  check(!pings.empty(), "a clock is compared without pings");
  const Ping& best =
      *std::min_element(pings.begin(), pings.end(), [](const Ping& a, const Ping& b) { return a.received_ns - a.sent_ns < b.received_ns - b.sent_ns; });
  const std::int64_t trip_ns = best.received_ns - best.sent_ns;
  return {best.answered_ns - (best.sent_ns + trip_ns / 2), trip_ns - trip_ns / 2};
}

std::vector<ClockOffset> measure_clock_offsets(const Communicator& comm, std::span<const int> machine_of_rank, const std::function<std::int64_t()>& clock) {
  check(static_cast<int>(machine_of_rank.size()) == comm.size(), "machines of {} ranks, there are {}", machine_of_rank.size(), comm.size());
  const auto elsewhere = [&](int rank) { return machine_of_rank[static_cast<std::size_t>(rank)] != machine_of_rank.front(); };
  if (comm.rank() != 0) {
    if (elsewhere(comm.rank())) answer(comm, clock);
    return {};
  }
  std::vector<ClockOffset> offsets(static_cast<std::size_t>(comm.size()));
  for (int rank = 1; rank < comm.size(); ++rank)
    if (elsewhere(rank)) offsets[static_cast<std::size_t>(rank)] = ping(comm, rank, clock);
  return offsets;
}

}  // namespace tributary
