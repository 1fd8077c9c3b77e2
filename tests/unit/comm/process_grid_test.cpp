#include "comm/process_grid.h"
#include "comm/team.h"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

#include "base/error.h"

namespace tributary {
namespace {

std::string refusal(int world, const std::string& data, int pipeline) {
  try {
    (void)grid_shape(world, data, pipeline);
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "accepted";
}

TEST(GridShape, divides_the_ranks_among_pipelines_or_says_every_factor) {
  EXPECT_EQ(grid_shape(8, "auto", 2), (GridShape{4, 2}));
  EXPECT_EQ(grid_shape(6, "3", 2), (GridShape{3, 2}));
  EXPECT_EQ(grid_shape(1, "auto", 1), (GridShape{1, 1}));
  EXPECT_THAT(refusal(8, "3", 2), testing::AllOf(testing::StartsWith("69"), testing::HasSubstr("parallel.data = 3 x parallel.pipeline = 2"),
                                                 testing::HasSubstr("the number of ranks, 8"), testing::HasSubstr("start 6 ranks")));
  EXPECT_THAT(refusal(7, "auto", 2), testing::HasSubstr("7 is no multiple of 2"));
}

// [pipelines] their ranks, first stage first.
std::vector<std::vector<int>> pipelines_of(const GridShape& shape, const std::vector<int>& nodes) {
  const std::vector<GridPlace> places = place_ranks(shape, nodes);
  std::vector<std::vector<int>> pipelines(static_cast<std::size_t>(shape.data), std::vector<int>(static_cast<std::size_t>(shape.pipeline), -1));
  for (std::size_t r = 0; r < places.size(); ++r) {
    int& slot = pipelines.at(static_cast<std::size_t>(places[r].data)).at(static_cast<std::size_t>(places[r].pipeline));
    EXPECT_EQ(slot, -1) << "two ranks stand at one place";
    slot = static_cast<int>(r);
  }
  return pipelines;
}

TEST(PlaceRanks, keeps_a_pipeline_inside_a_node_where_it_fits) {
  // Two nodes of four, dealt round robin by the launcher.
  EXPECT_EQ(pipelines_of({4, 2}, {0, 1, 0, 1, 0, 1, 0, 1}), (std::vector<std::vector<int>>{{0, 2}, {4, 6}, {1, 3}, {5, 7}}));
  EXPECT_EQ(pipelines_of({2, 4}, {0, 0, 0, 0, 5, 5, 5, 5}), (std::vector<std::vector<int>>{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_EQ(pipelines_of({1, 4}, {0, 0, 1, 1}), (std::vector<std::vector<int>>{{0, 1, 2, 3}}));
  // Nodes of three: one pipeline of two fits each, the ranks left over make one across.
  EXPECT_EQ(pipelines_of({3, 2}, {0, 0, 0, 1, 1, 1}), (std::vector<std::vector<int>>{{0, 1}, {2, 5}, {3, 4}}));
}

TEST(PlaceRanks, makes_copies_on_one_node_neighbours) {
  const auto copies = [](const GridShape& shape, const std::vector<int>& nodes) {
    std::vector<int> of_copy;
    for (const std::vector<int>& ranks : pipelines_of(shape, nodes)) of_copy.push_back(nodes[static_cast<std::size_t>(ranks.front())]);
    return team_shape(of_copy);
  };
  EXPECT_EQ(copies({4, 1}, {0, 1, 0, 1}), (TeamShape{2, 2})) << "dealt round robin";
  EXPECT_EQ(copies({4, 2}, {0, 1, 0, 1, 0, 1, 0, 1}), (TeamShape{2, 2}));
  EXPECT_EQ(copies({6, 1}, {3, 7, 7, 3, 7, 3}), (TeamShape{2, 3})) << "dealt without order";
}

TEST(PlaceRanks, gives_every_rank_one_place_of_its_own_on_any_nodes) {
  int crossing = 0, checked = 0;
  for (int ranks = 1; ranks <= 24; ++ranks)
    for (int pipeline = 1; pipeline <= ranks; ++pipeline) {
      if (ranks % pipeline != 0) continue;
      for (int per_node = 1; per_node <= ranks; ++per_node, ++checked) {
        std::vector<int> nodes;
        for (int r = 0; r < ranks; ++r) nodes.push_back(r / per_node);
        int across = 0;
        for (const std::vector<int>& one : pipelines_of({ranks / pipeline, pipeline}, nodes)) {
          ASSERT_EQ(std::count(one.begin(), one.end(), -1), 0);
          std::set<int> used;
          for (const int r : one) used.insert(nodes[static_cast<std::size_t>(r)]);
          across += used.size() > 1 ? 1 : 0;
        }
        if (per_node % pipeline == 0 && ranks % per_node == 0) {
          EXPECT_EQ(across, 0) << ranks << " ranks, " << per_node << " a node, pipelines of " << pipeline;
        }
        crossing += across;
      }
    }
  EXPECT_GT(checked, 500);
  EXPECT_GT(crossing, 0);
}

}  // namespace
}  // namespace tributary
