#include "comm/clock_offset.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/key.h"

namespace tributary {
namespace {

TEST(ClockOffset, takes_the_middle_of_the_fastest_round_trip) {
  const std::vector<Ping> pings = {{0, 5'000'700, 1'000}, {2'000, 5'002'090, 2'200}, {4'000, 5'009'900, 10'000}};
  const ClockOffset found = estimate_clock_offset(pings);
  EXPECT_EQ(found.offset_ns, 5'002'090 - 2'100);
  EXPECT_EQ(found.error_ns, 100);
  EXPECT_EQ(estimate_clock_offset(std::vector<Ping>{{0, 7, 3}}).offset_ns, 6);
  EXPECT_EQ(estimate_clock_offset(std::vector<Ping>{{0, 7, 3}}).error_ns, 2);
  EXPECT_THROW((void)estimate_clock_offset({}), Error);
}

TEST(ClockOffset, is_wrong_by_no_more_than_it_says_whatever_the_ways_take) {
  int compared = 0;
  for (std::uint64_t round = 0; round < 200; ++round) {
    const Key key = derive_key(Draw::synth, {round});
    const auto drawn = [&](std::uint64_t draw, double most) { return static_cast<std::int64_t>(most * uniform(key, draw)); };
    const std::int64_t truth = drawn(0, 2e12) - 1'000'000'000'000;
    std::vector<Ping> pings;
    for (std::uint64_t p = 0; p < 8; ++p) {
      const std::int64_t sent = drawn(3 * p + 1, 1e9), there = sent + drawn(3 * p + 2, 1e5), back = there + drawn(3 * p + 3, 1e5);
      pings.push_back({sent, there + truth, back});
    }
    const ClockOffset found = estimate_clock_offset(pings);
    EXPECT_LE(std::abs(found.offset_ns - truth), found.error_ns) << round;
    ++compared;
  }
  EXPECT_EQ(compared, 200);
}

}  // namespace
}  // namespace tributary
