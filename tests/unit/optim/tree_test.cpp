#include "optim/tree.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/key.h"

namespace tributary {
namespace {

// The definition, word for word.
float whole_tree(const std::vector<float>& leaves, int level, std::size_t index) {
  if (level == 0) return leaves[index];
  const float left = whole_tree(leaves, level - 1, 2 * index);
  const bool missing = ((2 * index + 1) << (level - 1)) >= leaves.size();
  return missing ? left : left + whole_tree(leaves, level - 1, 2 * index + 1);
}

int height(std::size_t leaves) { return leaves <= 1 ? 0 : std::bit_width(leaves - 1); }

std::vector<float> random_leaves(std::size_t count) {
  std::vector<float> values;
  const Key key = derive_key(Draw::synth, {count});
  for (std::size_t i = 0; i < count; ++i) {
    const auto u = static_cast<float>(uniform(key, i) - 0.5);
    values.push_back(i % 5 == 3 ? -0.0F : std::ldexp(u, static_cast<int>(i % 9) * 4));
  }
  return values;
}

// What the ranks do: each adds what it can of its range, then the nodes are added in tree order.
float over_ranks(const std::vector<float>& leaves, const std::vector<std::size_t>& bounds, std::size_t& most_partials) {
  const auto count = static_cast<std::int64_t>(leaves.size());
  std::vector<TreeNode> nodes;
  std::vector<float> values;
  for (std::size_t r = 0; r + 1 < bounds.size(); ++r) {
    TreeCounter counter(count);
    std::vector<float> held;
    for (std::size_t leaf = bounds[r]; leaf < bounds[r + 1]; ++leaf) {
      held.push_back(leaves[leaf]);
      for (int additions_due = counter.push({0, static_cast<std::int64_t>(leaf)}); additions_due > 0; --additions_due) {
        const float right = held.back();
        held.pop_back();
        held.back() = held.back() + right;
      }
      most_partials = std::max(most_partials, held.size());
    }
    EXPECT_EQ(counter.nodes(), complete_nodes(count, static_cast<std::int64_t>(bounds[r]), static_cast<std::int64_t>(bounds[r + 1])));
    nodes.insert(nodes.end(), counter.nodes().begin(), counter.nodes().end());
    values.insert(values.end(), held.begin(), held.end());
  }
  for (const Addition& a : additions(count, nodes)) values[a.into] += values[a.from];
  return values[0];
}

template <class Visit>
void every_partition(std::size_t leaves, int ranks, std::vector<std::size_t>& bounds, const Visit& visit) {
  if (ranks == 1) {
    bounds.push_back(leaves);
    visit(bounds);
    bounds.pop_back();
    return;
  }
  for (std::size_t bound = bounds.back(); bound <= leaves; ++bound) {
    bounds.push_back(bound);
    every_partition(leaves, ranks - 1, bounds, visit);
    bounds.pop_back();
  }
}

TEST(Tree, gives_the_same_bits_for_every_partition_of_its_leaves) {
  std::int64_t compared = 0;
  for (std::size_t count = 1; count <= 70; ++count) {
    const auto leaves = random_leaves(count);
    const float expected = whole_tree(leaves, height(count), 0);
    const std::size_t limit = std::max<std::size_t>(1, 2 * static_cast<std::size_t>(height(count)));
    const int most_ranks = count <= 12 ? 5 : count <= 24 ? 4 : 3;
    for (int ranks = 1; ranks <= most_ranks; ++ranks) {
      std::vector<std::size_t> bounds{0};
      every_partition(count, ranks, bounds, [&](const std::vector<std::size_t>& partition) {
        std::size_t most = 0;
        const float sum = over_ranks(leaves, partition, most);
        ASSERT_EQ(std::bit_cast<std::uint32_t>(sum), std::bit_cast<std::uint32_t>(expected)) << count << " leaves";
        ASSERT_LE(most, limit);
        ++compared;
      });
    }
    // Five ranks of every size: contiguous ranges drawn by key, empty ones included.
    const Key key = derive_key(Draw::synth, {count, 5});
    for (std::uint64_t trial = 0; trial < 200; ++trial) {
      std::vector<std::size_t> partition{0, 0, 0, 0, 0, count};
      for (std::uint64_t i = 1; i < 5; ++i) partition[i] = static_cast<std::size_t>(uniform(key, 4 * trial + i) * static_cast<double>(count + 1));
      std::sort(partition.begin() + 1, partition.end() - 1);
      std::size_t most = 0;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(over_ranks(leaves, partition, most)), std::bit_cast<std::uint32_t>(expected));
      ++compared;
    }
  }
  EXPECT_GT(compared, 50000);
}

TEST(Tree, passes_a_lone_left_child_on_with_its_sign) {
  EXPECT_TRUE(std::signbit(tree_sum(std::vector<double>{-0.0})));
  EXPECT_TRUE(std::signbit(tree_sum(std::vector<double>{-0.0, -0.0, -0.0})));
  EXPECT_EQ(tree_sum(std::vector<double>{1e16, 1.0, 1.0, 1.0}), (1e16 + 1.0) + 2.0);
  EXPECT_EQ(tree_sum(std::vector<double>{}), 0);
}

TEST(Tree, names_the_complete_nodes_of_a_range) {
  using testing::ElementsAre;
  EXPECT_THAT(complete_nodes(8, 0, 8), ElementsAre(TreeNode{3, 0}));
  EXPECT_THAT(complete_nodes(7, 4, 7), ElementsAre(TreeNode{2, 1}));
  EXPECT_THAT(complete_nodes(7, 0, 4), ElementsAre(TreeNode{2, 0}));
  EXPECT_THAT(complete_nodes(8, 1, 7), ElementsAre(TreeNode{0, 1}, TreeNode{1, 1}, TreeNode{1, 2}, TreeNode{0, 6}));
  EXPECT_TRUE(complete_nodes(8, 3, 3).empty());
}

TEST(Tree, refuses_leaves_out_of_order_and_sums_of_a_part) {
  TreeCounter counter(8);
  counter.push({0, 2});
  EXPECT_THROW(counter.push({0, 4}), Error);
  const std::vector<TreeNode> part{{2, 0}};
  EXPECT_THROW((void)additions(8, part), Error);
}

}  // namespace
}  // namespace tributary
