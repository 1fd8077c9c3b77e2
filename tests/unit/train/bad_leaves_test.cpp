#include "train/bad_leaves.h"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include "train/event_log.h"

namespace tributary {
namespace {

using testing::HasSubstr;

BadFinding values(std::size_t block, std::int64_t leaf, int rank) { return {block, {leaf, rank, fmt::format("b{}", block), true, ""}}; }
BadFinding gradient(std::size_t block, std::int64_t leaf, int rank) { return {block, {leaf, rank, fmt::format("b{}", block), false, "w"}}; }

TEST(BadLeaves, are_told_by_what_came_first_in_the_order_of_computing) {
  // Leaf 3: values go wrong in block 2 of rank 1, and all behind it; leaf 7: gradients alone, from block 6 on towards the first.
  const std::vector<BadLeaf> found =
      first_of_leaves({gradient(7, 3, 2), gradient(2, 3, 1), values(5, 3, 2), values(2, 3, 1), gradient(6, 7, 2), gradient(1, 7, 0)});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], (BadLeaf{3, 1, "b2", true, ""}));
  EXPECT_EQ(found[1], (BadLeaf{7, 2, "b6", false, "w"}));
  EXPECT_EQ(in_words(found, 8), "leaves 3 (rank 1: values of block 'b2'), 7 (rank 2: gradient of w in block 'b6'), of 8");
}

TEST(BadLeaves, do_not_count_values_that_no_gradient_took_notice_of) {
  EXPECT_TRUE(first_of_leaves({values(2, 3, 1)}).empty());
  EXPECT_EQ(in_words({}, 8), "the sum of 8 leaves, each of whose own gradients is finite");
}

TEST(BadLeaves, are_counted_where_they_are_too_many_to_be_listed) {
  std::vector<BadFinding> findings;
  for (int leaf = 0; leaf < 40; ++leaf) findings.push_back(gradient(1, leaf, 0));
  StepRecord record;
  record.applied = false;
  record.bad_leaves = first_of_leaves(findings);
  EXPECT_THAT(in_words(record.bad_leaves, 64), HasSubstr("and 36 more, of 64"));
  const std::string line = to_json_line(record, {});
  EXPECT_THAT(line, HasSubstr("\"not_finite_leaves\":40,\"first_not_finite\":[{\"leaf\":0,\"rank\":0,\"block\":\"b1\",\"in\":\"w\"}"));
  EXPECT_THAT(line, HasSubstr("\"leaf\":15"));
  EXPECT_THAT(line, testing::Not(HasSubstr("\"leaf\":16")));
}

}  // namespace
}  // namespace tributary
