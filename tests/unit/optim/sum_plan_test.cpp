#include "optim/sum_plan.h"

#include <gmock/gmock.h>

#include <bit>
#include <map>

#include "base/key.h"

namespace tributary {
namespace {

std::vector<std::int64_t> even_bounds(std::int64_t leaves, int ranks) {
  std::vector<std::int64_t> bounds;
  for (int r = 0; r <= ranks; ++r) bounds.push_back(leaves * r / ranks);
  return bounds;
}

// The leaves' values added as the plan says: on the ranks, inside nodes, between nodes.
double sum_by(const SumPlan& plan, const std::vector<std::int64_t>& bounds, const std::vector<double>& leaves) {
  std::vector<std::vector<double>> held(bounds.size() - 1);
  for (std::size_t r = 0; r + 1 < bounds.size(); ++r) {
    TreeCounter counter(bounds.back());
    std::size_t most = 0;
    for (std::int64_t leaf = bounds[r]; leaf < bounds[r + 1]; ++leaf) {
      const int due = counter.push({0, leaf});
      if (due == 0)
        held[r].push_back(leaves[static_cast<std::size_t>(leaf)]);
      else
        held[r].back() += leaves[static_cast<std::size_t>(leaf)];
      for (int pair = 1; pair < due; ++pair) {
        const double right = held[r].back();
        held[r].pop_back();
        held[r].back() += right;
      }
      most = std::max(most, held[r].size());
    }
    EXPECT_EQ(held[r].size(), plan.held[r]);
    EXPECT_LE(most, plan.buffers);
  }
  std::vector<double> left;
  for (const SumPlan::Node& node : plan.nodes) {
    std::vector<double> values;
    for (const PartialSum& value : node.values) values.push_back(held[static_cast<std::size_t>(value.rank)][value.number]);
    for (const Addition& a : node.additions) values[a.into] += values[a.from];
    for (const std::size_t v : node.left) left.push_back(values[v]);
  }
  for (const Addition& a : plan.additions) left[a.into] += left[a.from];
  return left.front();
}

TEST(SumPlan, gives_the_bits_of_the_tree_for_any_number_of_leaves_ranks_and_nodes) {
  int compared = 0;
  for (std::int64_t leaves = 1; leaves <= 40; ++leaves) {
    const Key key = derive_key(Draw::synth, {static_cast<std::uint64_t>(leaves)});
    std::vector<double> values;
    for (std::int64_t i = 0; i < leaves; ++i) values.push_back(std::ldexp(uniform(key, static_cast<std::uint64_t>(i)) - 0.5, static_cast<int>(i % 9) * 6));
    const double expected = tree_sum(values);
    for (int nodes = 1; nodes <= 4; ++nodes)
      for (int local = 1; local <= 4; ++local) {
        const auto bounds = even_bounds(leaves, nodes * local);
        const SumPlan plan = plan_sum(Reduction::exact, bounds, {nodes, local});
        EXPECT_EQ(std::bit_cast<std::uint64_t>(sum_by(plan, bounds, values)), std::bit_cast<std::uint64_t>(expected));
        ++compared;
      }
  }
  EXPECT_EQ(compared, 640);
}

TEST(SumPlan, of_a_fast_sum_has_one_value_a_rank_and_a_node) {
  const SumPlan plan = plan_sum(Reduction::fast, {0, 3, 3, 5, 7}, {2, 2});
  EXPECT_THAT(plan.held, testing::ElementsAre(1, 0, 1, 1));
  EXPECT_EQ(plan.buffers, 1U);
  EXPECT_THAT(plan.nodes[0].values, testing::ElementsAre(PartialSum{0, 0}));
  EXPECT_THAT(plan.nodes[1].additions, testing::ElementsAre(Addition{0, 1}));
  EXPECT_THAT(plan.additions, testing::ElementsAre(Addition{0, 1}));
}

TEST(SumPlan, needs_no_buffer_for_a_leaf_that_has_its_left_neighbour) {
  EXPECT_EQ(plan_sum(Reduction::exact, {0, 1, 2}, {1, 2}).buffers, 1U);
  EXPECT_EQ(plan_sum(Reduction::exact, {0, 2, 4}, {1, 2}).buffers, 1U);
  EXPECT_EQ(plan_sum(Reduction::exact, {0, 4, 8}, {1, 2}).buffers, 2U);
  EXPECT_EQ(plan_sum(Reduction::exact, {0, 8, 16}, {1, 2}).buffers, 3U);
}

}  // namespace
}  // namespace tributary
