// Data- and pipeline-parallel training on every grid of 1 to 4 ranks against one rank in the same process: the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/grid_training.h"
#include "support/many_blocks.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Grid {
  int data, pipeline;
};

std::vector<Grid> grids(int ranks) {
  std::vector<Grid> found;
  for (int pipeline = 1; pipeline <= ranks; ++pipeline)
    if (ranks % pipeline == 0) found.push_back({ranks / pipeline, pipeline});
  return found;
}

// Every schedule that a pipeline of so many ranks can have over nine blocks.
std::vector<ParallelConfig> configs(int pipeline) {
  std::vector<ParallelConfig> found;
  for (const ScheduleKind& kind : schedule_kinds())
    for (const int chunks : {1, 2}) {
      if (!kind.refusal({pipeline, chunks}).empty() || pipeline * chunks > 9) continue;
      ParallelConfig config;
      config.pipeline = pipeline;
      config.virtual_stages = chunks;
      config.schedule = kind.name;
      found.push_back(config);
    }
  return found;
}

std::string named(const Grid& grid, const ParallelConfig& config) {
  return fmt::format("{} x {}, {}, {} stages a rank{}", grid.data, grid.pipeline, config.schedule, config.virtual_stages,
                     config.recompute.empty() ? "" : ", recomputed");
}

void expect_equal_on_every_grid(std::int64_t (*leaves)(std::int64_t)) {
  const auto world = Communicator::world();
  TrainingCase given{nine_block_model(), Reduction::exact, 6, leaves};
  const TrainingResult alone = train_alone(given);
  EXPECT_EQ(std::set<double>(alone.losses.begin(), alone.losses.end()).size(), 6U) << "losses stand still";
  int compared = 0;
  for (const Grid& shape : grids(world.size())) {
    const ProcessGrid grid(world.split(0, world.rank()), {shape.data, shape.pipeline});
    for (ParallelConfig config : configs(shape.pipeline))
      for (const bool again : {false, true}) {
        config.recompute = again ? std::vector<std::string>{"all"} : std::vector<std::string>{};
        given.sharded = compared % 3 != 0;  // shared parameters travel in both ways of updating
        expect_equal(train_on_grid(Parallel(grid, config), given), alone, named(shape, config));
        ++compared;
      }
  }
  EXPECT_GE(compared, 10);
}

TEST(PipelineTraining, is_equal_bit_for_bit_with_8_leaves_a_step) {
  expect_equal_on_every_grid([](std::int64_t) -> std::int64_t { return 8; });
}
TEST(PipelineTraining, is_equal_bit_for_bit_with_7_leaves_a_step) {
  expect_equal_on_every_grid([](std::int64_t) -> std::int64_t { return 7; });
}
TEST(PipelineTraining, is_equal_bit_for_bit_with_1_leaf_a_step_where_other_pipelines_have_none) {
  expect_equal_on_every_grid([](std::int64_t) -> std::int64_t { return 1; });
}
TEST(PipelineTraining, is_equal_bit_for_bit_when_the_number_of_leaves_varies) {
  expect_equal_on_every_grid([](std::int64_t step) { return 1 + (5 * step) % 11; });
}

TEST(PipelineTraining, is_equal_bit_for_bit_in_half_precision_where_all_ranks_skip_the_same_steps) {
  const auto world = Communicator::world();
  for (const char* precision : {"bf16", "fp16"}) {
    TrainingCase given{nine_block_model(), Reduction::exact, 12, [](std::int64_t) -> std::int64_t { return 7; }};
    given.numerics.precision = precision;
    given.numerics.loss_scale = 0x1p24;  // too much for float16 at first
    const TrainingResult alone = train_alone(given);
    EXPECT_EQ(alone.skipped > 0, given.numerics.precision == "fp16") << precision;
    EXPECT_LT(alone.skipped, given.steps) << precision;
    int compared = 0;
    for (const Grid& shape : grids(world.size())) {
      const ProcessGrid grid(world.split(0, world.rank()), {shape.data, shape.pipeline});
      for (const ParallelConfig& config : configs(shape.pipeline)) {
        const TrainingResult found = train_on_grid(Parallel(grid, config), given);
        expect_equal(found, alone, precision + (" on " + named(shape, config)));
        EXPECT_EQ(found.skipped, alone.skipped);
        ++compared;
      }
    }
    EXPECT_GE(compared, 3);
  }
}

// Its sums have no elements, its weights are there all the same.
TEST(PipelineTraining, is_equal_bit_for_bit_with_a_first_stage_that_trains_nothing) {
  const auto world = Communicator::world();
  TrainingCase given{nine_block_model(), Reduction::exact, 4, [](std::int64_t) -> std::int64_t { return 7; }};
  for (ParameterSpec& parameter : given.model.parameters)
    if (parameter.name.starts_with("input.") || parameter.name == "layer.1.weight") parameter.trainable = false;
  const TrainingResult alone = train_alone(given);
  EXPECT_EQ(std::set<double>(alone.losses.begin(), alone.losses.end()).size(), 4U) << "losses stand still";
  int compared = 0;
  for (const Grid& shape : grids(world.size()))
    for (ParallelConfig config : configs(shape.pipeline)) {
      const int stages = shape.pipeline * static_cast<int>(config.virtual_stages);
      if (shape.pipeline == 1 || stages > 8) continue;
      config.partition = {2};
      for (int s = 1; s < stages; ++s) config.partition.push_back(7 * s / (stages - 1) - 7 * (s - 1) / (stages - 1));
      ASSERT_EQ(lay_out(given.model, cut_of(config, given.model)).stages.front().gradient, 0);
      const ProcessGrid grid(world.split(0, world.rank()), {shape.data, shape.pipeline});
      for (const char* reducer : {"mpi", "window"})
        for (const int local : {1, world.size()}) {  // ranks a node
          given.nodes.clear();
          for (int r = 0; r < world.size(); ++r) given.nodes.push_back(r / local);
          given.reducer = reducer;
          expect_equal(train_on_grid(Parallel(grid, config), given), alone, fmt::format("{}, {}, {} a node", named(shape, config), reducer, local));
          ++compared;
        }
    }
  EXPECT_GE(compared, world.size() == 1 ? 0 : 12);  // one rank alone has no first stage
}

TEST(PipelineTraining, takes_any_partition) {
  const auto world = Communicator::world();
  const TrainingCase given{nine_block_model(), Reduction::exact, 4, [](std::int64_t) -> std::int64_t { return 5; }};
  const TrainingResult alone = train_alone(given);
  const ProcessGrid grid(world.split(0, world.rank()), {1, world.size()});
  ParallelConfig config;
  config.pipeline = world.size();
  for (int first = 1; first <= 10 - world.size(); ++first) {
    config.partition.assign(static_cast<std::size_t>(world.size()), 1);
    config.partition.front() = first;
    config.partition.back() += 9 - first - (world.size() - 1);
    expect_equal(train_on_grid(Parallel(grid, config), given), alone, fmt::format("first stage of {} blocks", first));
  }
}

}  // namespace
}  // namespace tributary
