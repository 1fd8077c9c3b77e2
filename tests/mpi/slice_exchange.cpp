// Backends of SliceExchange in host memory against support/slice_exchange_conformance.h.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
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

TEST(HostExchange, has_the_partial_sums_that_were_reserved_before_any_step) {
  const auto world = Communicator::world();
  const Stage s;
  for (const TeamShape team : {TeamShape{1, world.size()}, TeamShape{world.size(), 1}}) {
    HostExchange exchange(world, team, slice_gradient(s.layout, 0, world.size()), s.buckets);
    EXPECT_THROW(static_cast<void>(exchange.partial(0)), Error);
    exchange.reserve(5);
    std::vector<const void*> places;
    for (std::size_t n = 0; n < 5; ++n) places.push_back(exchange.partial(n).const_data_ptr());
    EXPECT_THROW(static_cast<void>(exchange.partial(5)), Error);
    run_steps(world, exchange, team);  // needs fewer
    for (std::size_t n = 0; n < 5; ++n) EXPECT_EQ(exchange.partial(n).const_data_ptr(), places[n]);
    EXPECT_THROW(static_cast<void>(exchange.partial(5)), Error);
  }
}

TEST(HostExchange, keeps_what_receives_under_way_write_to_when_an_error_ends_a_step) {
  const auto world = Communicator::world();
  if (world.size() == 1) return;  // nothing is received
  const Stage s;
  const TeamShape team{world.size(), 1};
  auto exchange = std::make_unique<HostExchange>(world, team, slice_gradient(s.layout, 0, world.size()), s.buckets);
  exchange->start(plan_sum(Reduction::exact, leaf_bounds(world.size(), world.size()), team));
  const at::Tensor sum = exchange->partial(0);
  const std::size_t owners = sum.use_count();
  exchange.reset();
  EXPECT_EQ(sum.use_count(), owners) << "the exchange's own hold on its memory ended with it";
  world.barrier();
  exchange = std::make_unique<HostExchange>(world, team, slice_gradient(s.layout, 0, world.size()), s.buckets);
  run_steps(world, *exchange, team);
  const at::Tensor finished = exchange->partial(0);
  exchange.reset();
  EXPECT_EQ(finished.use_count(), 1U) << "of an exchange that ends in order";
}

// Rank 0 comes to its sums after the others have left by an error: what it sends them then goes to memory that nobody else was given.
TEST(MessageExchange, keeps_what_messages_under_way_read_and_write_when_an_error_ends_a_step) {
  const auto world = Communicator::world();
  if (world.size() == 1) return;  // nothing is sent
  const Stage s;
  const TeamShape team{1, world.size()};
  const auto parts = slice_gradient(s.layout, 0, world.size());
  const std::vector<Bucket> buckets = make_buckets(s.stage, s.stage.gradient);  // one: all that a rank gets is under way at once
  const DeviceWire wire = make_wire(world, at::kCPU);                           // outlives the exchange, as the messages do
  const auto make = [&](const std::vector<Bucket>& of, const DeviceWire& by) {
    return std::make_unique<MessageExchange>(world, team, parts, of, at::kCPU, by, MessageExchange::Begin::with_ready);
  };
  auto exchange = make(buckets, wire);
  exchange->start(plan_sum(Reduction::exact, leaf_bounds(world.size(), world.size()), team));
  const at::Tensor sum = exchange->partial(0);
  std::int64_t received = 0;
  for (const ArenaSlices& part : parts) received += (world.size() - 1) * part.counts[static_cast<std::size_t>(world.rank())];
  std::vector<at::Tensor> others;
  const auto leave = [&] {
    exchange->ready(buckets.size());
    exchange.reset();
    EXPECT_EQ(sum.use_count(), 2U) << "the exchange's own hold on its memory ended with it";
    for (int i = 0; i < 64; ++i) others.push_back(at::full({received}, 42));
  };
  if (world.rank() > 0) leave();
  world.barrier();
  if (world.rank() == 0) leave();
  run_steps(world, *make(s.buckets, make_wire(world, at::kCPU)), team);
  for (const at::Tensor& other : others) EXPECT_TRUE((other == 42).all().item<bool>());
  exchange = make(buckets, wire);
  exchange->reserve(1);
  const at::Tensor unused = exchange->partial(0);
  exchange.reset();
  EXPECT_EQ(unused.use_count(), 1U) << "of an exchange that has nothing under way";
  world.barrier();
}

// No file of any size can be made: what takes shared memory fails.
struct NoFiles {
  NoFiles() {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoFiles() { setrlimit(RLIMIT_FSIZE, &before); }
  NoFiles(const NoFiles&) = delete;
  NoFiles& operator=(const NoFiles&) = delete;
  rlimit before{};
};

TEST(HostExchange, needs_no_shared_memory_with_one_rank_a_node) {
  const auto world = Communicator::world();
  const Stage s;
  const TeamShape team{world.size(), 1};
  const auto parts = slice_gradient(s.layout, 0, world.size());
  const NoFiles limit;
  HostExchange exchange(world, team, parts, s.buckets);
  run_steps(world, exchange, team);
  run_weights(world, exchange, s);
  if (world.size() > 1) {
    EXPECT_THROW(HostExchange(world, TeamShape{1, world.size()}, parts, s.buckets), Error) << "the limit limits nothing";
  }
}

TEST(SharedMemory, of_a_whole_node_is_refused_with_its_sum_before_any_is_made) {
  const auto world = Communicator::world();
  try {
    require_shared_memory(world, world, std::size_t{1} << 50, "sums");
    FAIL() << "PiBs of shared memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_TRUE(error.shared());
    const std::string words = error.what();
    EXPECT_NE(words.find(fmt::format("for sums: {}.0 MiB are needed on this node", world.size() * 1073741824LL)), std::string::npos) << words;
    EXPECT_NE(words.find("MiB free"), std::string::npos) << words;
    EXPECT_NE(words.find("take parallel.reducer = \"mpi\""), std::string::npos) << words;
  }
  EXPECT_NO_THROW(require_shared_memory(world, world, 4096, "sums"));
}

TEST(SharedMemory, that_does_not_fit_is_refused_by_all_ranks_with_its_size_and_the_setting) {
  const auto world = Communicator::world();
  try {
    const SharedMemory memory(world, std::size_t{1} << 50, "a test");
    FAIL() << "a PiB of shared memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    const std::string words = error.what(), alone = "a test: cannot map 1073741824.0 MiB of memory";
    EXPECT_NE(words.find(world.size() == 1 ? alone : "for a test: 1073741824.0 MiB are needed"), std::string::npos) << words;
    EXPECT_EQ(words.find("take parallel.reducer = \"mpi\"") != std::string::npos, world.size() > 1) << words;
  }
  const SharedMemory memory(world, 4096, "a test");
  NodeSignals signals(world);
  if (world.rank() == 0) memory.bytes()[7] = std::byte{42};
  signals.meet();
  EXPECT_EQ(memory.bytes()[7], std::byte{42});
}

}  // namespace
}  // namespace tributary
