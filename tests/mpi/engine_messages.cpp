// Messages of a pipeline go on while its ranks compute. The tests' environment denies ranks each other's memory (test_environment), so that a long message
// moves in pieces, each inside a call of MPI on both sides.
#include <gtest/gtest.h>

#include <chrono>

#include "comm/shared_memory.h"
#include "pipeline/engine.h"
#include "schedule/schedule.h"

namespace tributary {
namespace {

constexpr std::int64_t elements = std::int64_t{1} << 21;  // 8 MiB
constexpr std::size_t taken = NodeSignals::first_free;

BlockSpec first_block(const NodeSignals& signals) {
  BlockSpec block{"first", {}, {}, {"a"}, {"weight"}, {}};
  block.forward = [&signals](const BlockInput& in) -> std::vector<at::Tensor> {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const bool second = in.context.leaf == 1;
    while (second && !signals.reached(taken, 1) && std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_TRUE(!second || signals.reached(taken, 1)) << "the first leaf waited for the end of the second one's computation";
    return {in.parameters[0] * static_cast<double>(in.context.leaf + 1)};
  };
  block.shapes = [](const Batch&, const LeafContext&) -> std::vector<TensorShape> { return {TensorShape{{elements}}}; };
  return block;
}

BlockSpec last_block(NodeSignals& signals) {
  BlockSpec block{"last", {}, {"a"}, {loss_name}, {}, {}};
  block.forward = [&signals](const BlockInput& in) -> std::vector<at::Tensor> {
    signals.raise(taken, 1);
    return {in.taken[0].sum()};
  };
  block.shapes = [](const Batch&, const LeafContext&) -> std::vector<TensorShape> { return {TensorShape{{}}}; };
  return block;
}

TEST(EngineMessages, a_leaf_reaches_the_next_stage_while_its_sender_computes_another) {
  const Communicator world = Communicator::world();
  NodeSignals signals(world);
  if (world.rank() == 0) signals.raise(taken, 1);
  BlockList model;
  model.parameters = {{"weight", {elements}}};
  model.blocks = {first_block(signals), last_block(signals)};
  model.outputs = {loss_name};
  const ModelLayout layout = lay_out(model, {0, 1});
  const StepSchedule step = evaluation_schedule(schedule_kind("gpipe"), {2, 1}, 2);
  const Engine engine(model, layout, {step.rank_of_stage, world.rank(), &world, &world});
  const std::vector<at::Tensor> parameters = cut_arena(layout, make_arena(layout.whole, at::kFloat).fill_(1), engine.place().own());
  const Batch batch;
  std::vector<Leaf> leaves(2, Leaf{{}, &batch});
  leaves[1].context.leaf = 1;
  const auto outputs = engine.evaluate(program_of(step, world.rank()), parameters, leaves);
  if (world.rank() == 0) return;
  ASSERT_EQ(outputs.size(), 2U);
  for (std::size_t leaf = 0; leaf < 2; ++leaf) EXPECT_EQ(outputs[leaf].outputs[0].item<float>(), static_cast<float>(elements * (leaf + 1)));
}

}  // namespace
}  // namespace tributary
