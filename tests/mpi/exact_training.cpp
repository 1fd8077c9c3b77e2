// The whole core on 1, 2, 3, 4 ranks against one rank in the same process: engine, tree, norm, clipping, AdamW.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/digest.h"
#include "optim/adamw.h"
#include "optim/lr_schedule.h"
#include "optim/norm.h"
#include "support/two_blocks.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Result {
  at::Tensor parameters, first, second;  // whole arenas
  std::vector<double> losses, norms;
  [[nodiscard]] std::string digest() const {
    Sha256 sha;
    for (const at::Tensor& t : {parameters, first, second}) sha.update(t.data_ptr<float>(), static_cast<std::size_t>(t.numel()) * sizeof(float));
    for (const auto* numbers : {&losses, &norms}) sha.update(numbers->data(), numbers->size() * sizeof(double));
    return hex(sha.finish());
  }
};

std::vector<std::int64_t> deal(std::int64_t leaves, int ranks) {
  std::vector<std::int64_t> bounds;
  for (int r = 0; r <= ranks; ++r) bounds.push_back(leaves * r / ranks);
  return bounds;
}

at::Tensor gather(const Communicator& comm, const ArenaSlices& slices, const at::Tensor& slice) {
  at::Tensor whole = at::zeros({slices.offsets.back() + slices.counts.back()}, at::kFloat);
  const auto rank = static_cast<std::size_t>(comm.rank());
  whole.narrow(0, slices.offsets[rank], slices.counts[rank]).copy_(slice);
  gather_parameters(comm, slices, whole);
  return whole;
}

// leaves(step): how many the step has; the last leaf is one row shorter.
template <class Leaves>
Result train(const Communicator& comm, Reduction reduction, const Leaves& leaves_of_step) {
  const BlockList model = two_block_model();
  const ParameterLayout layout = make_layout(model.parameters);
  const Engine engine(model, layout);
  GradientTree tree(comm, layout, reduction);
  OptimConfig config;
  config.warmup_steps = 3;
  config.clip_norm = 0.05;
  Result result{make_arena(layout, at::kFloat), {}, {}, {}, {}};
  initialise(layout, result.parameters, 5);
  AdamState state = make_adam_state(tree.slices(), comm.rank());
  const auto rank = static_cast<std::size_t>(comm.rank());
  for (std::int64_t step = 0; step < 20; ++step) {
    const std::int64_t leaves = leaves_of_step(step);
    const auto bounds = deal(leaves, comm.size());
    std::vector<Batch> batches;
    std::vector<Leaf> own;
    batches.reserve(static_cast<std::size_t>(leaves));
    for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf) {
      batches.push_back(random_batch(step, leaf, leaf + 1 == leaves ? 3 : 4));
      own.push_back({{5, step, leaf, true, {static_cast<double>(4 * leaves - 1)}}, &batches.back()});
    }
    tree.start(bounds);
    const auto outputs = engine.run(sequential_schedule(static_cast<std::int64_t>(own.size())), result.parameters, own, tree);
    std::vector<double> sums;
    for (const LeafOutput& output : outputs) sums.push_back(output.outputs[0].item<double>());
    result.losses.push_back(reduce_scalars(comm, bounds, 1, sums)[0] / static_cast<double>(4 * leaves - 1));
    const at::Tensor gradient = tree.reduce();
    const GradientStats stats = measure_gradient(comm, tree.slices(), {gradient.data_ptr<float>(), static_cast<std::size_t>(gradient.numel())});
    EXPECT_TRUE(stats.finite);
    result.norms.push_back(stats.norm);
    update_slice(layout, config, {learning_rate(config, step, 20), clip_factor(stats.norm, config.clip_norm)}, tree.slices().offsets[rank], gradient, state,
                 result.parameters);
    gather_parameters(comm, tree.slices(), result.parameters);
  }
  result.first = gather(comm, tree.slices(), state.first);
  result.second = gather(comm, tree.slices(), state.second);
  return result;
}

template <class Leaves>
void expect_equal_to_one_rank(const Leaves& leaves, const char* what) {
  const auto world = Communicator::world(), self = Communicator::self();
  const Result together = train(world, Reduction::exact, leaves), alone = train(self, Reduction::exact, leaves);
  EXPECT_TRUE(at::equal(together.parameters, alone.parameters)) << what;
  EXPECT_TRUE(at::equal(together.first, alone.first)) << what;
  EXPECT_TRUE(at::equal(together.second, alone.second)) << what;
  EXPECT_EQ(together.losses, alone.losses) << what;
  EXPECT_EQ(together.norms, alone.norms) << what;
  EXPECT_EQ(together.digest(), alone.digest()) << what;
  EXPECT_EQ(alone.losses.size(), 20U);
  const ParameterLayout layout = make_layout(two_block_model().parameters);
  at::Tensor start = make_arena(layout, at::kFloat);
  initialise(layout, start, 5);
  EXPECT_FALSE(at::allclose(alone.parameters, start, 0, 1e-3)) << "nothing moved";
  EXPECT_EQ(std::set<double>(alone.losses.begin(), alone.losses.end()).size(), 20U) << "losses stand still";
  EXPECT_GT(*std::max_element(alone.norms.begin(), alone.norms.end()), 0.05) << "nothing was clipped";
  if (world.rank() == 0) fmt::print("{}: {} after 20 steps on {} ranks\n", what, together.digest().substr(0, 16), world.size());
}

TEST(ExactTraining, is_equal_bit_for_bit_with_8_leaves_a_step) {
  expect_equal_to_one_rank([](std::int64_t) { return 8; }, "8 leaves");
}
TEST(ExactTraining, is_equal_bit_for_bit_with_7_leaves_a_step) {
  expect_equal_to_one_rank([](std::int64_t) { return 7; }, "7 leaves");
}
TEST(ExactTraining, is_equal_bit_for_bit_with_1_leaf_a_step_where_other_ranks_have_none) {
  expect_equal_to_one_rank([](std::int64_t) { return 1; }, "1 leaf");
}
TEST(ExactTraining, is_equal_bit_for_bit_when_the_number_of_leaves_varies) {
  expect_equal_to_one_rank([](std::int64_t step) { return 1 + step % 11; }, "1 to 11 leaves");
}

TEST(FastTraining, differs_from_exact_by_rounding_only) {
  const auto world = Communicator::world();
  const auto leaves = [](std::int64_t) { return 7; };
  const Result fast = train(world, Reduction::fast, leaves), exact = train(world, Reduction::exact, leaves);
  EXPECT_TRUE(at::allclose(fast.parameters, exact.parameters, 1e-3, 1e-5));
  EXPECT_NEAR(fast.losses.back(), exact.losses.back(), 1e-5);
  const Result again = train(world, Reduction::fast, leaves);
  EXPECT_EQ(again.digest(), fast.digest()) << "the same ranks give the same bits";
  if (world.rank() == 0) fmt::print("fast - exact, largest difference: {:.3g}\n", (fast.parameters - exact.parameters).abs().max().item<double>());
}

TEST(GradientStats, find_a_value_that_is_not_finite_on_every_rank) {
  const auto world = Communicator::world();
  const ArenaSlices slices = slice_arena(5 * arena_block, world.size());
  const auto own = static_cast<std::size_t>(slices.counts[static_cast<std::size_t>(world.rank())]);
  const std::int64_t offset = slices.offsets[static_cast<std::size_t>(world.rank())];
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    std::vector<float> slice(own, 1e30F);
    const std::int64_t place = 3 * arena_block + 17 - offset;
    if (place >= 0 && place < static_cast<std::int64_t>(own)) slice[static_cast<std::size_t>(place)] = bad;
    const GradientStats stats = measure_gradient(world, slices, slice);
    EXPECT_FALSE(stats.finite);
    EXPECT_EQ(stats.bad_blocks, std::vector<std::int64_t>{3});
  }
  const GradientStats stats = measure_gradient(world, slices, std::vector<float>(own, 1e30F));
  EXPECT_TRUE(stats.finite);
  EXPECT_NEAR(stats.norm / (1e30 * std::sqrt(5.0 * arena_block)), 1, 1e-6);
}

}  // namespace
}  // namespace tributary
