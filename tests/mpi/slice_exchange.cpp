// Backends of SliceExchange in host memory against support/slice_exchange_conformance.h.
#include <gtest/gtest.h>

#include <memory>
#include <span>

#include "base/error.h"
#include "optim/message_exchange.h"
#include "support/slice_exchange_conformance.h"

namespace tributary {
namespace {

using namespace testing_support;

TEST(HostExchange, gives_the_bits_of_the_tree_and_whole_weights_for_every_shape_of_nodes) {
  const auto world = Communicator::world();
  const Stage s;
  int shapes = 0;
  for (int local = 1; local <= world.size(); ++local) {
    if (world.size() % local != 0) continue;
    const TeamShape team{world.size() / local, local};
    HostExchange exchange(world, team, slice_gradient(s.layout, 0, world.size()), s.buckets);
    run_steps(world, exchange, team);
    run_weights(world, exchange, s);
    ++shapes;
  }
  EXPECT_GE(shapes, world.size() == 1 ? 1 : 2);
}

TEST(MessageExchange, gives_the_bits_of_the_tree_and_whole_weights_for_every_shape_of_nodes) {
  const auto world = Communicator::world();
  const Stage s;
  int shapes = 0;
  for (int local = 1; local <= world.size(); ++local) {
    if (world.size() % local != 0) continue;
    const TeamShape team{world.size() / local, local};
    const auto parts = slice_gradient(s.layout, 0, world.size());
    for (const auto begin : {MessageExchange::Begin::with_ready, MessageExchange::Begin::with_finish}) {
      MessageExchange exchange(world, team, parts, s.buckets, at::kCPU, make_wire(world, at::kCPU), begin);
      run_steps(world, exchange, team);
      run_weights(world, exchange, s);
      HostExchange reference(world, team, parts, s.buckets);
      run_fast_beside(world, exchange, reference, team);
    }
    ++shapes;
  }
  EXPECT_GE(shapes, world.size() == 1 ? 1 : 2);
}

TEST(MessageExchange, shares_a_wire_with_another_whose_buckets_become_ready_in_another_order_on_every_rank) {
  const auto world = Communicator::world();
  const Stage s;
  const TeamShape team{1, world.size()};
  const DeviceWire wire = make_wire(world, at::kCPU);
  std::vector<std::unique_ptr<MessageExchange>> exchanges;
  std::vector<GradientTree> trees;
  trees.reserve(2);
  for (int number = 0; number < 2; ++number) {
    exchanges.push_back(std::make_unique<MessageExchange>(world, team, slice_gradient(s.layout, 0, world.size()), s.buckets, at::kCPU, wire,
                                                          MessageExchange::Begin::with_finish));
    trees.emplace_back(s.stage, *exchanges.back(), s.buckets, Reduction::exact);
  }
  std::vector<std::int64_t> compared{0};
  for (const std::int64_t leaves : {9, 2}) {
    const auto bounds = leaf_bounds(leaves, world.size());
    const auto rank = static_cast<std::size_t>(world.rank());
    for (std::size_t e = 0; e < 2; ++e) {
      exchanges[e]->start(plan_sum(Reduction::exact, bounds, team));
      trees[e].start(leaves, bounds[rank], bounds[rank + 1]);
    }
    for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf)
      for (std::size_t e = 0; e < 2; ++e) {
        const std::size_t turn = (e + rank) % 2;
        const auto step = static_cast<std::int64_t>(turn);
        for (std::size_t block = s.stage.uses.size(); block-- > 0;) trees[turn].add(leaf, block, gradients_of(s.stage, step, leaf, block, at::kCPU));
      }
    for (std::size_t e = 0; e < 2; ++e) compared[0] += compare(s, world, exchanges[e]->finish(), static_cast<std::int64_t>(e), leaves);
  }
  world.sum(std::span(compared));
  EXPECT_GT(compared[0], 0);
}

TEST(SharedMemory, that_does_not_fit_is_refused_by_all_ranks_with_its_size_and_the_setting) {
  const auto world = Communicator::world();
  try {
    const SharedMemory memory(world, std::size_t{1} << 50, "a test", "take less");
    FAIL() << "a PiB of shared memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    const std::string words = error.what();
    EXPECT_NE(words.find("for a test: 1073741824.0 MiB are needed"), std::string::npos) << words;
    EXPECT_NE(words.find("take less"), std::string::npos) << words;
  }
  const SharedMemory memory(world, 4096, "a test", "take less");
  NodeSignals signals(world);
  if (world.rank() == 0) memory.bytes()[7] = std::byte{42};
  signals.meet();
  EXPECT_EQ(memory.bytes()[7], std::byte{42});
}

}  // namespace
}  // namespace tributary
