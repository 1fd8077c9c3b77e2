#include "comm/agree.h"

#include <gmock/gmock.h>

namespace tributary {
namespace {

// What agreed(comm, work) throws; fails when it throws nothing.
template <class Work>
Error thrown(const Communicator& comm, Work&& work) {
  try {
    agreed(comm, work);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::internal, "");
}

TEST(Agree, makes_one_ranks_error_that_of_all_and_marks_it_as_shared) {
  const Communicator world = Communicator::world();
  const int last = world.size() - 1;
  const Error error = thrown(world, [&] {
    if (world.rank() == last) fail(ErrorKind::missing, "no such file");
  });
  EXPECT_EQ(error.kind(), ErrorKind::missing);
  EXPECT_EQ(std::string(error.what()), world.size() == 1 ? "no such file" : fmt::format("rank {}: no such file", last));
  EXPECT_TRUE(error.shared());
}

TEST(Agree, names_no_rank_when_all_say_the_same) {
  const Communicator world = Communicator::world();
  EXPECT_EQ(std::string(thrown(world, [] { fail(ErrorKind::configuration, "wrong key"); }).what()), "wrong key");
  if (world.size() == 1) return;
  const Error differing = thrown(world, [&] { fail(ErrorKind::data, "part {}", world.rank()); });
  EXPECT_EQ(std::string(differing.what()), "rank 0: part 0");
}

TEST(Agree, in_a_group_of_ranks_shares_nothing_with_the_job) {
  const Communicator world = Communicator::world();
  const Communicator half = world.split(world.rank() % 2, world.rank());
  const Error error = thrown(half, [] { fail(ErrorKind::data, "bad part"); });
  EXPECT_EQ(error.shared(), half.size() == world.size());
  EXPECT_FALSE(Error(ErrorKind::data, "alone").shared());
}

TEST(Agree, names_the_rank_in_the_job_once_when_a_group_agreed_first) {
  const Communicator world = Communicator::world();
  const Communicator pair = world.split(world.rank() / 2, world.rank());
  const int last = world.size() - 1;  // of three ranks: the only one of its group, which tells no rank
  const Error error = thrown(world, [&] {
    agreed(pair, [&] {
      if (world.rank() == last) fail(ErrorKind::io, "disk full");
    });
  });
  EXPECT_EQ(std::string(error.what()), world.size() == 1 ? "disk full" : fmt::format("rank {}: disk full", last));
}

}  // namespace
}  // namespace tributary
