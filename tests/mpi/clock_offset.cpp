#include "comm/clock_offset.h"

#include <gmock/gmock.h>

#include <numeric>

#include "base/trace.h"

namespace tributary {
namespace {

TEST(ClockOffset, of_ranks_on_other_machines_is_found_within_the_error_it_tells) {
  const Communicator world = Communicator::world();
  std::vector<int> machines(static_cast<std::size_t>(world.size()));
  std::iota(machines.begin(), machines.end(), 0);
  constexpr std::int64_t ahead_ns = 77'000'000'000;  // a rank's clock, of the one before it
  const auto offsets = measure_clock_offsets(world, machines, [&] { return steady_ns() + world.rank() * ahead_ns; });
  if (world.rank() != 0) {
    EXPECT_TRUE(offsets.empty());
    return;
  }
  ASSERT_EQ(offsets.size(), machines.size());
  for (std::size_t r = 0; r < offsets.size(); ++r) {
    EXPECT_LE(std::abs(offsets[r].offset_ns - static_cast<std::int64_t>(r) * ahead_ns), offsets[r].error_ns) << "rank " << r;
    EXPECT_EQ(offsets[r].error_ns > 0, r > 0);
  }
}

TEST(ClockOffset, of_ranks_on_one_machine_is_nothing) {
  const Communicator world = Communicator::world();
  std::vector<int> machines(static_cast<std::size_t>(world.size()), 0);
  machines.back() = world.size() - 1;
  const auto offsets = measure_clock_offsets(world, machines, steady_ns);
  for (std::size_t r = 0; r + 1 < offsets.size(); ++r) EXPECT_EQ(offsets[r].offset_ns, 0) << "rank " << r;
  EXPECT_EQ(offsets.size(), world.rank() == 0 ? machines.size() : 0U);
}

}  // namespace
}  // namespace tributary
