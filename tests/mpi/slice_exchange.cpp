// What every backend of SliceExchange must do: the tree's sum to the bit in every rank's slices, step after step, for any dealing of leaves, with ranks that
// have none; weights that all see. Nodes are made up of the ranks of this machine.
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/key.h"
#include "optim/gradient_tree.h"
#include "optim/host_exchange.h"
#include "support/many_blocks.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

float leaf_value(std::int64_t step, std::int64_t leaf, std::int64_t element) {
  const Key key = derive_key(Draw::synth, {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(leaf)});
  const auto u = static_cast<float>(uniform(key, static_cast<std::uint64_t>(element)) - 0.5);
  return element % 7 == 3 ? -0.0F : std::ldexp(u, static_cast<int>((leaf + element) % 11) * 3);
}

float tree_value(std::int64_t step, std::int64_t leaves, int level, std::int64_t index, std::int64_t element) {
  if (level == 0) return leaf_value(step, index, element);
  const float left = tree_value(step, leaves, level - 1, 2 * index, element);
  if ((2 * index + 1) << (level - 1) >= leaves) return left;
  return left + tree_value(step, leaves, level - 1, 2 * index + 1, element);
}

float expected_value(std::int64_t step, std::int64_t leaves, std::int64_t element) {
  int height = 0;
  while ((std::int64_t{1} << height) < leaves) ++height;
  return tree_value(step, leaves, height, 0, element);
}

struct Stage {
  ModelLayout layout = lay_out(testing_support::nine_block_model(), {0});
  const StageLayout& stage = layout.stages.front();
  std::vector<Bucket> buckets = make_buckets(stage, 3 * arena_block);
};

// One leaf's gradients of a block; of the fourth leaf the second block has none.
std::vector<at::Tensor> gradients_of(const StageLayout& stage, std::int64_t step, std::int64_t leaf, std::size_t block) {
  std::vector<at::Tensor> gradients;
  for (const ParameterUse& use : stage.uses[block]) {
    const ParameterSpec& spec = stage.parameters.entries[use.entry].spec;
    at::Tensor& gradient = gradients.emplace_back();
    if (use.gradient < 0) continue;
    gradient = at::empty(spec.shape, at::kFloat);
    for (std::int64_t i = 0; i < spec.count(); ++i) gradient.data_ptr<float>()[i] = leaf_value(step, leaf, use.gradient + i);
  }
  return gradients;
}

// Compares the own slices of a step with the tree, bit by bit; returns how many elements.
std::int64_t compare(const Stage& s, const Communicator& world, const std::vector<at::Tensor>& slices, std::int64_t step, std::int64_t leaves) {
  const auto parts = slice_gradient(s.layout, 0, world.size());
  std::int64_t compared = 0, wrong = 0;
  for (const auto& uses : s.stage.uses)
    for (const ParameterUse& use : uses)
      for (std::int64_t i = 0; use.gradient >= 0 && i < s.stage.parameters.entries[use.entry].spec.count(); ++i)
        for (std::size_t p = 0; p < parts.size(); ++p) {
          const std::int64_t place = use.gradient + i - parts[p].offsets[static_cast<std::size_t>(world.rank())];
          if (place < 0 || place >= parts[p].counts[static_cast<std::size_t>(world.rank())]) continue;
          const float found = slices[p].data_ptr<float>()[place], wanted = expected_value(step, leaves, use.gradient + i);
          wrong += std::memcmp(&found, &wanted, sizeof(float)) != 0;
          ++compared;
        }
  EXPECT_EQ(wrong, 0) << "step " << step << " with " << leaves << " leaves";
  return compared;
}

void run_steps(const Communicator& world, SliceExchange& exchange, const TeamShape& team) {
  const Stage s;
  GradientTree tree(s.stage, exchange, s.buckets, Reduction::exact);
  std::vector<std::int64_t> compared{0};
  std::int64_t step = 0;
  for (const std::int64_t leaves : {8, 1, 7, 3, 16, 2, 13, 5}) {
    const auto bounds = leaf_bounds(leaves, world.size());
    const auto rank = static_cast<std::size_t>(world.rank());
    exchange.start(plan_sum(Reduction::exact, bounds, team));
    tree.start(leaves, bounds[rank], bounds[rank + 1]);
    for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf)
      for (std::size_t block = s.stage.uses.size(); block-- > 0;) tree.add(leaf, block, gradients_of(s.stage, step, leaf, block));
    tree.check_finished();
    compared[0] += compare(s, world, exchange.finish(), step, leaves);
    ++step;
  }
  world.sum(std::span(compared));
  std::int64_t elements = 0;
  for (const auto& uses : s.stage.uses)
    for (const ParameterUse& use : uses) elements += use.gradient < 0 ? 0 : s.stage.parameters.entries[use.entry].spec.count();
  EXPECT_EQ(compared[0], 8 * elements) << "every element once in somebody's slice";
}

void run_weights(const Communicator& world, SliceExchange& exchange, const Stage& s) {
  const at::Tensor arena = exchange.place_weights(at::arange(s.stage.parameters.total, at::kFloat));
  EXPECT_EQ(arena[17].item<float>(), 17);
  exchange.meet();
  const ArenaSlices slices = slice_arena(s.stage.parameters.trainable, world.size());
  for (int round = 1; round <= 3; ++round) {
    const auto rank = static_cast<std::size_t>(world.rank());
    arena.narrow(0, slices.offsets[rank], slices.counts[rank]).fill_(100 * round + world.rank());
    exchange.share_weights(arena);
    for (int r = 0; r < world.size(); ++r) {
      const at::Tensor slice = arena.narrow(0, slices.offsets[static_cast<std::size_t>(r)], slices.counts[static_cast<std::size_t>(r)]);
      EXPECT_TRUE((slice == 100 * round + r).all().item<bool>()) << "rank " << r << "'s slice, round " << round;
    }
    exchange.meet();
  }
  EXPECT_EQ(arena[s.stage.parameters.total - 1].item<float>(), static_cast<float>(s.stage.parameters.total - 1)) << "what is frozen stays";
}

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
