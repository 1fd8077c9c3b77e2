#include "comm/team.h"

#include <gmock/gmock.h>

namespace tributary {
namespace {

TEST(Team, takes_equal_numbers_of_neighbours_on_every_node) {
  using Nodes = std::vector<int>;
  EXPECT_EQ(team_shape(Nodes{0, 0, 2, 2}), (TeamShape{2, 2}));
  EXPECT_EQ(team_shape(Nodes{5}), (TeamShape{1, 1}));
  EXPECT_EQ(team_shape(Nodes{0, 1, 2}), (TeamShape{3, 1}));
  EXPECT_EQ(team_shape(Nodes{4, 4, 4}), (TeamShape{1, 3}));
  EXPECT_EQ(team_shape(Nodes{0, 0, 2}), std::nullopt) << "unequal numbers";
  EXPECT_EQ(team_shape(Nodes{0, 1, 0, 1}), std::nullopt) << "dealt in turn";
  EXPECT_EQ(team_shape(Nodes{0, 0, 1, 0}), std::nullopt);
}

}  // namespace
}  // namespace tributary
