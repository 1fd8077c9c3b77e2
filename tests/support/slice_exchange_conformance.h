// What every backend of SliceExchange must do: the tree's sum to the bit in every rank's slices, step after step, for any dealing of leaves, with ranks that
// have none; weights that all see. Nodes are made up of the ranks of this machine; the device is where the exchange keeps its tensors.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <span>

#include "base/key.h"
#include "optim/gradient_tree.h"
#include "optim/host_exchange.h"
#include "support/many_blocks.h"
#include "train/leaf_bounds.h"

namespace tributary::testing_support {

inline float leaf_value(std::int64_t step, std::int64_t leaf, std::int64_t element) {
  const Key key = derive_key(Draw::synth, {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(leaf)});
  const auto u = static_cast<float>(uniform(key, static_cast<std::uint64_t>(element)) - 0.5);
  return element % 7 == 3 ? -0.0F : std::ldexp(u, static_cast<int>((leaf + element) % 11) * 3);
}

inline float tree_value(std::int64_t step, std::int64_t leaves, int level, std::int64_t index, std::int64_t element) {
  if (level == 0) return leaf_value(step, index, element);
  const float left = tree_value(step, leaves, level - 1, 2 * index, element);
  if ((2 * index + 1) << (level - 1) >= leaves) return left;
  return left + tree_value(step, leaves, level - 1, 2 * index + 1, element);
}

inline float expected_value(std::int64_t step, std::int64_t leaves, std::int64_t element) {
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
inline std::vector<at::Tensor> gradients_of(const StageLayout& stage, std::int64_t step, std::int64_t leaf, std::size_t block, at::Device device) {
  std::vector<at::Tensor> gradients;
  for (const ParameterUse& use : stage.uses[block]) {
    const ParameterSpec& spec = stage.parameters.entries[use.entry].spec;
    at::Tensor& gradient = gradients.emplace_back();
    if (use.gradient < 0) continue;
    gradient = at::empty(spec.shape, at::kFloat);
    for (std::int64_t i = 0; i < spec.count(); ++i) gradient.data_ptr<float>()[i] = leaf_value(step, leaf, use.gradient + i);
    gradient = gradient.to(device);
  }
  return gradients;
}

// Compares the own slices of a step with the tree, bit by bit; returns how many elements.
inline std::int64_t compare(const Stage& s, const Communicator& world, const std::vector<at::Tensor>& slices, std::int64_t step, std::int64_t leaves) {
  const auto parts = slice_gradient(s.layout, 0, world.size());
  std::int64_t compared = 0, wrong = 0;
  std::vector<at::Tensor> on_host;
  for (const at::Tensor& slice : slices) on_host.push_back(slice.cpu());
  for (const auto& uses : s.stage.uses)
    for (const ParameterUse& use : uses)
      for (std::int64_t i = 0; use.gradient >= 0 && i < s.stage.parameters.entries[use.entry].spec.count(); ++i)
        for (std::size_t p = 0; p < parts.size(); ++p) {
          const std::int64_t place = use.gradient + i - parts[p].offsets[static_cast<std::size_t>(world.rank())];
          if (place < 0 || place >= parts[p].counts[static_cast<std::size_t>(world.rank())]) continue;
          const float found = on_host[p].data_ptr<float>()[place], wanted = expected_value(step, leaves, use.gradient + i);
          wrong += std::memcmp(&found, &wanted, sizeof(float)) != 0;
          ++compared;
        }
  EXPECT_EQ(wrong, 0) << "step " << step << " with " << leaves << " leaves";
  return compared;
}

constexpr std::array<std::int64_t, 8> leaves_of_step = {8, 1, 7, 3, 16, 2, 13, 5};

// The slices of one step.
inline std::vector<at::Tensor> run_step(const Communicator& world, SliceExchange& exchange, const TeamShape& team, Reduction reduction, const Stage& s,
                                        std::int64_t step, at::Device device = at::kCPU) {
  GradientTree tree(s.stage, exchange, s.buckets, reduction);
  const std::int64_t leaves = leaves_of_step.at(static_cast<std::size_t>(step));
  const auto bounds = leaf_bounds(leaves, world.size());
  const auto rank = static_cast<std::size_t>(world.rank());
  exchange.start(plan_sum(reduction, bounds, team));
  tree.start(leaves, bounds[rank], bounds[rank + 1]);
  for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf)
    for (std::size_t block = s.stage.uses.size(); block-- > 0;) tree.add(leaf, block, gradients_of(s.stage, step, leaf, block, device));
  tree.check_finished();
  return exchange.finish();
}

inline void run_steps(const Communicator& world, SliceExchange& exchange, const TeamShape& team, at::Device device = at::kCPU) {
  const Stage s;
  std::vector<std::int64_t> compared{0};
  for (std::int64_t step = 0; step < 8; ++step)
    compared[0] += compare(s, world, run_step(world, exchange, team, Reduction::exact, s, step, device), step, leaves_of_step[static_cast<std::size_t>(step)]);
  world.sum(std::span(compared));
  std::int64_t elements = 0;
  for (const auto& uses : s.stage.uses)
    for (const ParameterUse& use : uses) elements += use.gradient < 0 ? 0 : s.stage.parameters.entries[use.entry].spec.count();
  EXPECT_EQ(compared[0], 8 * elements) << "every element once in somebody's slice";
}

// Fast sums have no tree to be held to: two backends that follow one plan agree to the bit.
inline void run_fast_beside(const Communicator& world, SliceExchange& exchange, SliceExchange& reference, const TeamShape& team, at::Device device = at::kCPU) {
  const Stage s;
  std::vector<std::int64_t> compared{0};
  for (std::int64_t step = 0; step < 8; ++step) {
    const std::vector<at::Tensor> wanted = run_step(world, reference, team, Reduction::fast, s, step);
    const std::vector<at::Tensor> found = run_step(world, exchange, team, Reduction::fast, s, step, device);
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t p = 0; p < found.size(); ++p) {
      EXPECT_TRUE(at::equal(found[p].cpu(), wanted[p])) << "part " << p << ", step " << step;
      compared[0] += found[p].numel();
    }
  }
  world.sum(std::span(compared));
  EXPECT_EQ(compared[0], 8 * s.stage.gradient) << "every element once in somebody's slice";
}

inline void run_weights(const Communicator& world, SliceExchange& exchange, const Stage& s, at::Device device = at::kCPU) {
  const at::Tensor arena = exchange.place_weights(at::arange(s.stage.parameters.total, at::kFloat).to(device));
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

}  // namespace tributary::testing_support
