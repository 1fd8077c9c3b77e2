#include "comm/exit_soon.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/no_threads.h"

namespace tributary {
namespace {

TEST(ExitSoonDeathTest, ends_a_process_that_hangs_also_where_no_thread_is_to_be_had) {
  const auto hang = [] {
    const testing_support::NoThreads none;
    exit_soon(65);
    std::this_thread::sleep_for(std::chrono::minutes(1));
    std::_Exit(0);
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(65), "");
}

}  // namespace
}  // namespace tributary
