// The whole core on 1, 2, 3, 4 ranks against one rank in the same process: engine, tree, norm, clipping, AdamW.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "support/grid_training.h"

namespace tributary {
namespace {

using namespace testing_support;

TrainingResult train_together(const TrainingCase& given) {
  const Communicator world = Communicator::world();
  const ProcessGrid grid(world.split(0, world.rank()), {world.size(), 1});
  const ParallelConfig config;
  return train_on_grid(Parallel(grid, config), given);
}

void expect_equal_to_one_rank(std::int64_t (*leaves)(std::int64_t), const char* what) {
  const auto world = Communicator::world();
  const TrainingCase given{two_block_model(), Reduction::exact, 20, leaves};
  const TrainingResult together = train_together(given), alone = train_alone(given);
  expect_equal(together, alone, what);
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
  expect_equal_to_one_rank([](std::int64_t) -> std::int64_t { return 8; }, "8 leaves");
}
TEST(ExactTraining, is_equal_bit_for_bit_with_7_leaves_a_step) {
  expect_equal_to_one_rank([](std::int64_t) -> std::int64_t { return 7; }, "7 leaves");
}
TEST(ExactTraining, is_equal_bit_for_bit_with_1_leaf_a_step_where_other_ranks_have_none) {
  expect_equal_to_one_rank([](std::int64_t) -> std::int64_t { return 1; }, "1 leaf");
}
TEST(ExactTraining, is_equal_bit_for_bit_when_the_number_of_leaves_varies) {
  expect_equal_to_one_rank([](std::int64_t step) { return 1 + step % 11; }, "1 to 11 leaves");
}

TEST(ExactTraining, is_equal_bit_for_bit_whatever_sums_the_gradients_and_however_ranks_stand_on_nodes) {
  const auto world = Communicator::world();
  TrainingCase given{two_block_model(), Reduction::exact, 6, [](std::int64_t step) { return 3 + step % 5; }};
  const TrainingResult alone = train_alone(given);
  int compared = 0;
  for (const bool sharded : {true, false})
    for (const int local : {1, 2, 3, 4}) {
      if (world.size() % local != 0) continue;
      given.nodes.clear();
      for (int r = 0; r < world.size(); ++r) given.nodes.push_back(r / local);
      for (const char* reducer : {"auto", "mpi", "window", "nccl"}) {
        given.reducer = reducer;
        given.sharded = sharded;
        expect_equal(train_together(given), alone, fmt::format("{}, {} ranks a node, optimizer {}sharded", reducer, local, sharded ? "" : "not "));
        ++compared;
      }
    }
  EXPECT_GE(compared, 8);
}

TEST(ExactTraining, is_equal_bit_for_bit_where_most_ranks_own_nothing_of_what_is_trained) {
  const auto world = Communicator::world();
  TrainingCase given{two_block_model(), Reduction::exact, 6, [](std::int64_t step) { return 3 + step % 5; }};
  for (ParameterSpec& parameter : given.model.parameters) parameter.trainable = parameter.name == "head.weight";  // one block of an arena: the last rank's
  const TrainingResult alone = train_alone(given);
  EXPECT_GT(*std::max_element(alone.norms.begin(), alone.norms.end()), 0);
  int compared = 0;
  for (const int local : {1, 2, 3, 4}) {
    if (world.size() % local != 0) continue;
    given.nodes.clear();
    for (int r = 0; r < world.size(); ++r) given.nodes.push_back(r / local);
    for (const char* reducer : {"mpi", "window", "nccl"}) {
      given.reducer = reducer;
      expect_equal(train_together(given), alone, fmt::format("{}, {} ranks a node", reducer, local));
      ++compared;
    }
  }
  EXPECT_GE(compared, world.size() == 1 ? 3 : 6);
}

TEST(GradientReducer, refuses_sums_and_weights_that_do_not_fit_into_shared_memory_together) {
  const auto world = Communicator::world();
  if (world.size() == 1) return;  // shares with nobody
  const ProcessGrid grid(world.split(0, world.rank()), {world.size(), 1});
  const Parallel parallel(grid, ParallelConfig{});
  const ModelLayout layout = lay_out(two_block_model(), {0});
  const std::vector<int> nodes(static_cast<std::size_t>(world.size()), 0);
  const ReducerChoice choice = choose_reducer("window", at::kCPU, grid.shape(), grid.places(), nodes);
  const std::size_t partials = std::size_t{1} << 30;
  for (const bool sharded : {true, false}) {
    GradientReducer reducer(parallel.holding(), layout, Reduction::exact, choice, at::kCPU, sharded);
    const StageLayout& stage = layout.stages.front();
    const auto weights = static_cast<double>(sharded ? stage.parameters.total : stage.parameters.trainable);
    const double bytes = 4 * (static_cast<double>(partials) * world.size() * static_cast<double>(stage.gradient) + weights);
    try {
      static_cast<void>(reducer.place_parameters({make_arena(stage.parameters, at::kFloat)}, partials));
      FAIL() << "far more than any node has";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::launch);
      const std::string words = error.what();
      EXPECT_NE(words.find(fmt::format("{:.1f} MiB are needed on this node", bytes / 1048576)), std::string::npos) << words;
      EXPECT_NE(words.find("parallel.reducer = \"mpi\""), std::string::npos) << words;
    }
  }
}

TEST(FastTraining, differs_from_exact_by_rounding_only) {
  const auto world = Communicator::world();
  TrainingCase given{two_block_model(), Reduction::fast, 20, [](std::int64_t) -> std::int64_t { return 7; }};
  const TrainingResult fast = train_together(given), again = train_together(given);
  given.reduction = Reduction::exact;
  const TrainingResult exact = train_together(given);
  EXPECT_TRUE(at::allclose(fast.parameters, exact.parameters, 1e-3, 1e-5));
  EXPECT_NEAR(fast.losses.back(), exact.losses.back(), 1e-5);
  EXPECT_EQ(again.digest(), fast.digest()) << "the same ranks give the same bits";
  if (world.rank() == 0) fmt::print("fast - exact, largest difference: {:.3g}\n", (fast.parameters - exact.parameters).abs().max().item<double>());
}

TEST(GradientStats, find_a_value_that_is_not_finite_on_every_rank) {
  const auto world = Communicator::world();
  BlockList model;
  model.parameters = {{"weight", {5 * arena_block}}};
  model.blocks.push_back({"only", {}, {}, {"loss"}, {"weight"}, [](const BlockInput& in) -> std::vector<at::Tensor> { return {in.parameters[0].sum()}; }});
  const ModelLayout layout = lay_out(model, {0});
  std::vector<HeldSlices> held;
  for (int r = 0; r < world.size(); ++r) held.push_back({{0}, r});
  const NormPlan plan = plan_norm(layout, held, world.size());
  const ArenaSlices slices = slice_arena(5 * arena_block, world.size());
  const std::int64_t own = slices.counts[static_cast<std::size_t>(world.rank())];
  const std::int64_t offset = slices.offsets[static_cast<std::size_t>(world.rank())];
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    const at::Tensor slice = at::full({own}, 1e30, at::kFloat);
    const std::int64_t place = 3 * arena_block + 17 - offset;
    if (place >= 0 && place < own) slice[place].fill_(bad);
    const GradientStats stats = measure_gradient(world, plan, {slice});
    EXPECT_FALSE(stats.finite);
    EXPECT_EQ(stats.bad_blocks, std::vector<std::int64_t>{3});
  }
  const at::Tensor large = at::full({own}, 1e30, at::kFloat);
  const GradientStats stats = measure_gradient(world, plan, {large});
  EXPECT_TRUE(stats.finite);
  EXPECT_NEAR(stats.norm / (1e30 * std::sqrt(5.0 * arena_block)), 1, 1e-6);
  EXPECT_EQ(measure_gradient(world, plan, {large}, 1024).norm, stats.norm / 1024);
}

}  // namespace
}  // namespace tributary
