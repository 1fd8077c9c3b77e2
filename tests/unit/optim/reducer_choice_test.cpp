#include "optim/reducer_choice.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ReducerChoice choose(const std::string& asked, const GridShape& shape, const std::vector<int>& nodes, at::DeviceType device = at::kCPU) {
  return choose_reducer(asked, device, shape, place_ranks(shape, nodes), nodes);
}

TEST(ReducerChoice, takes_shared_memory_where_data_parallel_ranks_share_nodes_and_says_so) {
  const ReducerChoice four = choose("auto", {4, 1}, {0, 0, 2, 2});
  EXPECT_EQ(four.backend, "window");
  EXPECT_THAT(four.teams, ElementsAre(TeamShape{2, 2}));
  EXPECT_THAT(four.why, HasSubstr("2 rank(s) a node, 2 node(s)"));
  EXPECT_THAT(choose("auto", {2, 2}, {0, 0, 0, 0}).teams, ElementsAre(TeamShape{1, 2}, TeamShape{1, 2}));
  EXPECT_EQ(choose("auto", {2, 2}, {0, 0, 2, 2}).backend, "mpi") << "a pipeline a node: its peers are elsewhere";
  EXPECT_EQ(choose("auto", {3, 1}, {0, 0, 2}).backend, "mpi");
  EXPECT_THAT(choose("auto", {3, 1}, {0, 0, 2}).why, HasSubstr("unequal"));
  EXPECT_EQ(choose("auto", {1, 3}, {0, 0, 0}).backend, "mpi");
  EXPECT_THAT(choose("mpi", {4, 1}, {0, 0, 2, 2}).teams, ElementsAre(TeamShape{4, 1}));
}

TEST(ReducerChoice, takes_nccl_on_gpus_inside_nodes_first_where_they_are_alike_and_says_so) {
  const ReducerChoice four = choose("auto", {4, 1}, {0, 0, 2, 2}, at::kCUDA);
  EXPECT_EQ(four.backend, "nccl");
  EXPECT_THAT(four.teams, ElementsAre(TeamShape{2, 2}));
  EXPECT_THAT(four.why, HasSubstr("by nccl, first inside nodes, then between them: 2 rank(s) a node, 2 node(s)"));
  EXPECT_THAT(choose("nccl", {4, 1}, {0, 0, 0, 0}, at::kCUDA).teams, ElementsAre(TeamShape{1, 4}));
  EXPECT_THAT(choose("nccl", {3, 1}, {0, 0, 2}, at::kCUDA).teams, ElementsAre(TeamShape{3, 1})) << "nodes are unlike";
  EXPECT_THAT(choose("nccl", {3, 1}, {0, 0, 2}, at::kCUDA).why, HasSubstr("every rank with every other of 3"));
  EXPECT_THAT(choose("auto", {1, 2}, {0, 0}, at::kCUDA).why, HasSubstr("one copy"));
}

TEST(ReducerChoice, refuses_what_was_asked_for_and_cannot_be_had) {
  const auto words = [](const std::string& asked, const GridShape& shape, const std::vector<int>& nodes, at::DeviceType device = at::kCPU) {
    try {
      (void)choose(asked, shape, nodes, device);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::launch);
      return std::string(error.what());
    }
    return std::string("taken");
  };
  EXPECT_THAT(words("window", {3, 1}, {0, 0, 2}), HasSubstr("the same number of data-parallel ranks on every node"));
  EXPECT_THAT(words("nccl", {2, 1}, {0, 0}), HasSubstr("run.device = \"cpu\"; take \"auto\", \"window\" or \"mpi\""));
  for (const std::string asked : {"mpi", "window"})
    EXPECT_THAT(words(asked, {2, 1}, {0, 0}, at::kCUDA),
                HasSubstr("\"" + asked + "\" sums in the memory of the host, and run.device = \"cuda\"; take \"auto\" or \"nccl\""));
}

}  // namespace
}  // namespace tributary
