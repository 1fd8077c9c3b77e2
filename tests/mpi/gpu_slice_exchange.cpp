// MessageExchange over NCCL on GPUs against support/slice_exchange_conformance.h: one GPU a rank, or several ranks on one (NCCL 2.32 and later).
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "base/error.h"
#include "comm/gpu.h"
#include "comm/nccl_wire.h"
#include "optim/message_exchange.h"
#include "support/slice_exchange_conformance.h"

namespace tributary {
namespace {

using namespace testing_support;

// Every rank takes its GPU; false, with the reason in the test's log, where there is none.
bool take_gpu(const Communicator& world) {
  const GpuSupport support = gpu_support();
  std::vector<std::int64_t> missing{support.devices.empty()};
  world.maximum(std::span(missing));
  if (missing[0] != 0) return false;
  require_gpu(support);
  use_gpu(choose_gpu(world.split_by_node(), support, /*share=*/true));
  return true;
}

TEST(GpuMessageExchange, gives_the_bits_of_the_tree_and_whole_weights_for_every_shape_of_nodes) {
  const auto world = Communicator::world();
  if (!take_gpu(world)) GTEST_SKIP() << "no GPU: " << gpu_support().problem;
  const Stage s;
  int shapes = 0;
  for (int local = 1; local <= world.size(); ++local) {
    if (world.size() % local != 0) continue;
    const TeamShape team{world.size() / local, local};
    const auto parts = slice_gradient(s.layout, 0, world.size());
    for (const auto begin : {MessageExchange::Begin::with_ready, MessageExchange::Begin::with_finish}) {
      MessageExchange exchange(world, team, parts, s.buckets, at::kCUDA, make_wire(world, at::kCUDA), begin);
      run_steps(world, exchange, team, at::kCUDA);
      run_weights(world, exchange, s, at::kCUDA);
      HostExchange reference(world, team, parts, s.buckets);
      run_fast_beside(world, exchange, reference, team, at::kCUDA);
    }
    ++shapes;
  }
  EXPECT_GE(shapes, world.size() == 1 ? 1 : 2);
}

// Large enough that an order that is missing would be seen: what is sent is still being computed, and what comes is used at once.
TEST(NcclWire, keeps_messages_between_the_computation_before_and_after_them) {
  const auto world = Communicator::world();
  if (!take_gpu(world)) GTEST_SKIP() << "no GPU: " << gpu_support().problem;
  if (world.size() == 1) GTEST_SKIP() << "no peer to send to";
  const DeviceWire wire = make_wire(world, at::kCUDA);
  const int to = (world.rank() + 1) % world.size(), from = (world.rank() + world.size() - 1) % world.size();
  const std::int64_t count = std::int64_t{1} << 22;
  const at::Tensor sent = at::zeros({count}, at::TensorOptions(at::kFloat).device(at::kCUDA)), received = at::empty_like(sent);
  for (int round = 1; round <= 5; ++round) {
    for (int add = 0; add < 50; ++add) sent.add_(1);
    sent.add_(world.rank());
    MessageGroup group;
    group.sends.push_back({sent.const_data_ptr(), sent.nbytes(), to});
    group.receives.push_back({received.data_ptr(), received.nbytes(), from});
    wire.wire->after_compute();
    wire.wire->exchange(std::move(group));
    wire.wire->before_compute();
    EXPECT_TRUE((received == round * (50 + from)).all().item<bool>()) << "round " << round;
  }
  wire.wire->wait();
  wire.wire->abort();
  MessageGroup late;
  late.sends.push_back({sent.const_data_ptr(), sent.nbytes(), to});
  EXPECT_THROW(wire.wire->exchange(std::move(late)), Error) << "after abort()";
}

}  // namespace
}  // namespace tributary
