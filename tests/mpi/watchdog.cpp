#include "comm/watchdog.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "comm/progress_thread.h"
#include "support/no_threads.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

TEST(Watchdog, names_the_operation_the_step_and_the_ranks_that_are_behind) {
  const auto world = Communicator::world();
  const int sleeper = world.size() - 1;
  std::string told;
  std::atomic<int> acts{0};
  {
    Watchdog watchdog(world, 0.4, {}, [&](const std::string& report) {
      told = report;
      ++acts;
    });
    watchdog.progress("all together", 6);
    if (world.rank() == sleeper && world.size() > 1)
      std::this_thread::sleep_for(900ms);  // a rank that does not come to the sum
    else
      watchdog.progress("sum of gradients", 7);
    std::this_thread::sleep_for(900ms);
    world.barrier();
  }
  EXPECT_EQ(acts.load(), 1);
  if (world.rank() != sleeper || world.size() == 1) {
    EXPECT_NE(told.find("\"sum of gradients\" of step 7"), std::string::npos) << told;
    EXPECT_NE(told.find(world.size() == 1 ? "stopped none, behind none." : fmt::format("stopped none, behind {}.", sleeper)), std::string::npos) << told;
  }
}

TEST(Watchdog, does_not_take_a_rank_with_fewer_parts_of_an_operation_for_one_behind) {
  const auto world = Communicator::world();
  std::string told;
  std::atomic<int> acts{0};
  {
    Watchdog watchdog(world, 1.0, {}, [&](const std::string& report) {
      told = report;
      ++acts;
    });
    watchdog.progress("evaluation", 3);
    const int leaves = world.rank() == 0 ? 5 : 4;
    for (int leaf = 0; leaf < leaves; ++leaf) {
      std::this_thread::sleep_for(300ms);
      watchdog.alive();
    }
    world.barrier();
    EXPECT_EQ(acts.load(), 0);  // all leaves together took longer than the limit
    watchdog.progress("sums", 3);
    std::this_thread::sleep_for(1500ms);
    world.barrier();
  }
  EXPECT_EQ(acts.load(), 1);
  EXPECT_NE(told.find("\"sums\" of step 3; missing ranks: stopped none, behind none."), std::string::npos) << told;
}

TEST(Watchdog, tells_where_every_other_rank_of_the_node_is_with_its_leaf) {
  const auto world = Communicator::world();
  std::string told;
  {
    Watchdog watchdog(world, 0.6, {}, [&](const std::string& report) { told = report; });
    watchdog.progress("forward and backward", 5);
    watchdog.alive(fmt::format("forward of leaf {} in stage 0", 10 + world.rank()));
    std::this_thread::sleep_for(1500ms);
    world.barrier();
  }
  for (int rank = 0; rank < world.size(); ++rank) {
    const std::string place = fmt::format("\"forward and backward: forward of leaf {} in stage 0\" of step 5", 10 + rank);
    EXPECT_NE(told.find(rank == world.rank() ? "s in " + place : fmt::format("rank {} is in {}", rank, place)), std::string::npos) << told;
  }
}

TEST(Watchdog, stays_silent_while_there_is_progress) {
  const auto world = Communicator::world();
  std::atomic<int> acts{0};
  {
    Watchdog watchdog(world, 0.5, {}, [&](const std::string&) { ++acts; });
    for (int i = 0; i < 8; ++i) {
      watchdog.progress("working", i);
      std::this_thread::sleep_for(100ms);
    }
    world.barrier();
  }
  EXPECT_EQ(acts.load(), 0);
}

TEST(Watchdog, watches_until_every_rank_has_left_it) {
  const auto world = Communicator::world();
  const int sleeper = world.size() - 1;
  const int process = std::stoi(world.all_gather(std::to_string(::getpid())).back());
  std::string told;
  std::atomic<int> acts{0};
  {
    Watchdog watchdog(world, 2, {}, [&](const std::string& report) {
      told = report;
      ++acts;
      if (world.rank() == 0) ::kill(process, SIGCONT);
    });
    watchdog.progress("all together", 9);
    if (world.rank() == sleeper && world.size() > 1) std::raise(SIGSTOP);
  }
  if (world.size() == 1) return;
  if (world.rank() == 0) {
    EXPECT_EQ(acts.load(), 1);
    EXPECT_NE(told.find("\"leave the watchdog\" of step 9; missing ranks: stopped " + std::to_string(sleeper)), std::string::npos) << told;
  }
  world.barrier();
}

TEST(Watchdog, names_the_limit_when_the_machine_gives_no_thread) {
  const auto world = Communicator::world();
  testing_support::expect_no_thread_for("the watchdog", [&] { const Watchdog watchdog(world, 10, {}); });
  testing_support::expect_no_thread_for("the messages of a rank that computes", [] { const ProgressThread messages; });
  world.barrier();
}

}  // namespace
}  // namespace tributary
