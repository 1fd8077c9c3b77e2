// Nodes are made of ranks of this machine, which one rank a node or two a node take for all that shares memory.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <stdexcept>

#include "comm/watchdog.h"
#include "support/no_threads.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

constexpr double limit_s = 3;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Communicator node_of(const Communicator& world, int ranks_a_node) { return world.split(world.rank() / ranks_a_node, world.rank()); }

std::vector<int> processes(const Communicator& world) {
  std::vector<int> result;
  for (const std::string& text : world.all_gather(std::to_string(::getpid()))) result.push_back(std::stoi(text));
  return result;
}

// What the watchdog of this rank says when `missing` does not come to an operation, stopped or asleep.
std::string report_of(int ranks_a_node, int missing, bool stops) {
  const auto world = Communicator::world();
  const Communicator others = world.split(world.rank() == missing ? 1 : 0, world.rank());
  const int process = processes(world)[static_cast<std::size_t>(missing)];
  std::string told;
  std::atomic<bool> done = false;
  const auto act = [&](const std::string& report) {
    told = report;
    done = true;
  };
  Watchdog watchdog(world, limit_s, {}, act, node_of(world, ranks_a_node));
  const auto wait_for_report = [&] {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(10ms);
  };
  watchdog.progress("all together", 6);
  std::this_thread::sleep_for(1s);  // long enough for every node to have heard of this
  if (world.rank() == missing) {
    if (stops) std::raise(SIGSTOP);
    wait_for_report();
  } else {
    watchdog.progress("sum of gradients", 7);
    wait_for_report();
    others.barrier();
    if (stops) ::kill(process, SIGCONT);
  }
  world.barrier();
  return told;
}

TEST(WatchdogOfNodes, says_which_node_is_not_heard_from_when_its_only_rank_is_stopped) {
  const std::string told = report_of(1, 3, true);
  if (Communicator::world().rank() == 3) return;
  EXPECT_TRUE(has(told, "missing ranks: stopped none, behind none, not heard from 3.")) << told;
  EXPECT_TRUE(has(told, "(rank 3) has not been heard from for ")) << told;
  EXPECT_TRUE(has(told, "rank 3 was then in \"all together\" of step 6")) << told;
}

TEST(WatchdogOfNodes, names_a_stopped_rank_of_another_node) {
  const std::string told = report_of(2, 3, true);
  if (Communicator::world().rank() == 3) {
    EXPECT_TRUE(has(told, "\"all together\" of step 6 (itself stopped for ")) << told;
    return;
  }
  EXPECT_TRUE(has(told, "missing ranks: stopped 3, behind none.")) << told;
  EXPECT_TRUE(has(told, "rank 3 is in \"all together\" of step 6, no sign of life for ")) << told;
}

TEST(WatchdogOfNodes, a_stopped_rank_that_speaks_for_its_node_is_named_there_and_its_node_elsewhere) {
  const std::string told = report_of(2, 2, true);
  const int rank = Communicator::world().rank();
  if (rank == 2) return;
  EXPECT_TRUE(has(told, rank == 3 ? "missing ranks: stopped 2, behind none." : "missing ranks: stopped none, behind none, not heard from 2 3.")) << told;
  EXPECT_TRUE(has(told, rank == 3 ? "of the other nodes nothing is known here, since rank 2" : "(rank 2 3) has not been heard from for ")) << told;
}

TEST(WatchdogOfNodes, names_a_rank_of_another_node_that_is_behind) {
  const std::string told = report_of(1, 3, false);
  if (Communicator::world().rank() == 3) return;
  EXPECT_TRUE(has(told, "missing ranks: stopped none, behind 3.")) << told;
  EXPECT_TRUE(has(told, "rank 3 is in \"all together\" of step 6, behind")) << told;
}

TEST(WatchdogOfNodes, says_nothing_while_all_go_on_and_ends_at_once) {
  const auto world = Communicator::world();
  std::atomic<int> acts = 0;
  for (int turn = 0; turn < 20; ++turn) {
    Watchdog watchdog(
        world, 5, {}, [&](const std::string&) { ++acts; }, node_of(world, 1 + turn % 2));
    watchdog.progress("working", turn);
    std::this_thread::sleep_for(turn % 3 * 10ms);
  }
  EXPECT_EQ(acts, 0);
}

// With a limit of 80 ms the nodes tell each other their news every 10 ms.
TEST(WatchdogOfNodes, what_the_ranks_sum_is_the_same_beside_the_news) {
  const auto world = Communicator::world();
  Watchdog watchdog(
      world, 0.08, {}, [](const std::string&) {}, node_of(world, 1));
  std::vector<std::int64_t> values(20'000);
  const auto expected = std::int64_t{world.size()} * (world.size() - 1) / 2;
  for (int turn = 0; turn < 1000; ++turn) {
    watchdog.progress("sums", turn);
    std::fill(values.begin(), values.end(), world.rank());
    world.sum(values);
    ASSERT_EQ(std::count(values.begin(), values.end(), expected), std::ssize(values)) << turn;
  }
}

TEST(WatchdogOfNodes, all_may_leave_by_an_error) {
  const auto world = Communicator::world();
  EXPECT_THROW(
      {
        Watchdog watchdog(world, 10, {}, {}, node_of(world, 1));
        std::this_thread::sleep_for(world.rank() * 300ms);
        throw std::runtime_error("planted");
      },
      std::runtime_error);
  world.barrier();
}

constexpr const char* news_purpose = "what the nodes tell each other for the watchdog";

TEST(NodeNews, names_the_limit_on_the_ranks_that_speak_for_a_node_when_the_machine_gives_no_thread) {
  const auto world = Communicator::world();
  ProgressTable table(world, node_of(world, 2));
  const auto make = [&] { const NodeNews news(world, table, 10ms); };
  if (world.rank() % 2 == 0) {
    testing_support::expect_no_thread_for(news_purpose, make);
  } else {
    const testing_support::NoThreads none;
    EXPECT_NO_THROW(make()) << "this rank needs none";
  }
  world.barrier();
}

TEST(NodeNews, a_rank_without_a_thread_leaves_by_its_error_while_other_nodes_already_send_to_it) {
  const auto world = Communicator::world();
  ProgressTable table(world, node_of(world, 1));
  if (world.rank() == 3)
    testing_support::expect_no_thread_for(news_purpose, [&] { const NodeNews news(world, table, 10ms); });
  else
    EXPECT_THROW(
        {
          const NodeNews news(world, table, 10ms);
          std::this_thread::sleep_for(200ms);
          throw std::runtime_error("planted");
        },
        std::runtime_error);
  world.barrier();
}

}  // namespace
}  // namespace tributary
