#include "train/plan_digest.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

using testing::HasSubstr;

TEST(Plans, that_are_equal_pass) {
  const Communicator world = Communicator::world();
  EXPECT_NO_THROW(require_equal_plans(world, {{"the model", "aaaa"}, {"the schedule", "bbbb"}}));
}

TEST(Plans, that_differ_on_one_rank_are_refused_on_all_ranks_in_the_same_words) {
  const Communicator world = Communicator::world();
  const int odd = world.size() - 1;
  std::string told;
  try {
    require_equal_plans(world, {{"the model", "aaaa"}, {"the schedule", world.rank() == odd ? "cccc" : "bbbb"}});
  } catch (const Error& error) {
    told = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_TRUE(error.shared());
  }
  if (world.size() == 1) {
    EXPECT_EQ(told, "");
    return;
  }
  EXPECT_THAT(told, HasSubstr("the schedule: bbbb (ranks 0 1 on "));
  EXPECT_THAT(told, HasSubstr("cccc (rank 2 on "));
  EXPECT_THAT(told, testing::Not(HasSubstr("the model:")));
  for (const std::string& other : world.all_gather(told)) EXPECT_EQ(other, told);
}

}  // namespace
}  // namespace tributary
