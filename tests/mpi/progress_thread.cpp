#include "comm/progress_thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "comm/shared_memory.h"
#include "comm/transfer.h"

namespace tributary {
namespace {

// The tests' environment denies ranks each other's memory (see test_environment), so that a message of this size moves in pieces. `computes`: the rank that
// makes no call of MPI until the other one says, by shared memory, that it has done its part of the message.
void send_while_one_computes(const Communicator& world, int computes) {
  NodeSignals signals(world);
  std::vector<std::byte> bytes(std::size_t{8} << 20, std::byte{static_cast<unsigned char>(world.rank() == 0 ? 7 : 0)});
  ProgressThread messages;
  Transfer transfer = world.rank() == 0 ? Transfer::send(world, bytes, 1) : Transfer::receive(world, bytes, 0);
  if (world.rank() == computes) {
    signals.raise(NodeSignals::first_free, 1);
    const ProgressThread::Computing computing(&messages);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!signals.reached(NodeSignals::first_free, 1) && std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_TRUE(signals.reached(NodeSignals::first_free, 1)) << "the message waited for the end of the computation";
  }
  transfer.wait();
  signals.raise(NodeSignals::first_free, 1);
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), std::byte{7}), bytes.size());
  world.barrier();
}

TEST(ProgressThread, a_message_leaves_a_rank_that_computes) { send_while_one_computes(Communicator::world(), 0); }

TEST(ProgressThread, a_message_reaches_a_rank_that_computes) { send_while_one_computes(Communicator::world(), 1); }

TEST(ProgressThread, without_anything_to_do_it_ends) {
  for (int i = 0; i < 100; ++i) {
    ProgressThread messages;
    const ProgressThread::Computing computing(&messages), without(nullptr);
  }
}

}  // namespace
}  // namespace tributary
