#include "comm/lone_work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "base/error.h"
#include "comm/watchdog.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

TEST(LoneWork, of_rank_0_that_takes_longer_than_the_watchdogs_limit_alarms_no_rank_while_it_goes_on) {
  const auto world = Communicator::world();
  std::atomic<int> alarms{0};
  int parts = 0;
  {
    Watchdog watchdog(world, 1.5, {}, [&](const std::string&) { ++alarms; });
    watchdog.progress("make the model", 0);
    work_alone(
        world, [&] { watchdog.alive(); },
        [&](const std::function<void()>& part_done) {
          for (; parts < 40; ++parts) {
            std::this_thread::sleep_for(100ms);
            part_done();
          }
        });
  }
  EXPECT_EQ(alarms.load(), 0);
  EXPECT_EQ(parts, world.rank() == 0 ? 40 : 0);
}

TEST(LoneWork, that_stands_still_alarms_the_ranks_that_wait) {
  const auto world = Communicator::world();
  std::atomic<int> alarms{0};
  {
    Watchdog watchdog(world, 0.5, {}, [&](const std::string&) { ++alarms; });
    work_alone(
        world, [&] { watchdog.alive(); }, [](const std::function<void()>&) { std::this_thread::sleep_for(1500ms); });
  }
  EXPECT_EQ(alarms.load(), 1);
}

TEST(LoneWork, that_fails_fails_on_all_ranks_with_the_same_words) {
  const auto world = Communicator::world();
  try {
    work_alone(world, {}, [](const std::function<void()>& part_done) {
      part_done();
      fail(ErrorKind::data, "a part is torn");
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("a part is torn"), std::string::npos);
    EXPECT_TRUE(error.shared());
  }
}

}  // namespace
}  // namespace tributary
