#include "comm/communicator.h"

#include <gtest/gtest.h>

#include "comm/agree.h"

namespace tributary {
namespace {

TEST(Communicator, gathers_strings_of_different_lengths_in_rank_order) {
  const auto world = Communicator::world();
  const auto parts = world.all_gather(std::string(static_cast<std::size_t>(world.rank()) * 3, static_cast<char>('a' + world.rank())));
  ASSERT_EQ(parts.size(), static_cast<std::size_t>(world.size()));
  for (int r = 0; r < world.size(); ++r)
    EXPECT_EQ(parts[static_cast<std::size_t>(r)], std::string(static_cast<std::size_t>(r) * 3, static_cast<char>('a' + r)));
  const auto at_root = world.gather(std::to_string(world.rank()), 0);
  EXPECT_EQ(at_root.size(), world.rank() == 0 ? static_cast<std::size_t>(world.size()) : 0U);
  for (std::size_t r = 0; r < at_root.size(); ++r) EXPECT_EQ(at_root[r], std::to_string(r));
}

TEST(Communicator, exchanges_uneven_slices_with_every_rank) {
  const auto world = Communicator::world();
  const auto ranks = static_cast<std::size_t>(world.size()), own = static_cast<std::size_t>(world.rank());
  std::vector<std::int64_t> send_counts, send_offsets, receive_counts, receive_offsets;
  std::vector<float> send;
  std::int64_t received = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    send_counts.push_back(static_cast<std::int64_t>(own + r));
    send_offsets.push_back(static_cast<std::int64_t>(send.size()));
    send.insert(send.end(), own + r, static_cast<float>(100 * own + r));
    receive_counts.push_back(static_cast<std::int64_t>(own + r));
    receive_offsets.push_back(received);
    received += static_cast<std::int64_t>(own + r);
  }
  std::vector<float> receive(static_cast<std::size_t>(received));
  world.all_to_all(send, send_counts, send_offsets, receive, receive_counts, receive_offsets);
  std::size_t position = 0;
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t i = 0; i < own + r; ++i) EXPECT_EQ(receive[position++], static_cast<float>(100 * r + own));
  EXPECT_EQ(position, receive.size());
}

TEST(Communicator, gathers_slices_in_place) {
  const auto world = Communicator::world();
  std::vector<std::int64_t> counts, offsets;
  std::int64_t total = 0;
  for (int r = 0; r < world.size(); ++r) {
    counts.push_back(r + 1);
    offsets.push_back(total);
    total += r + 1;
  }
  std::vector<float> values(static_cast<std::size_t>(total), -1.0F);
  const auto own = static_cast<std::size_t>(world.rank());
  for (std::int64_t i = 0; i < counts[own]; ++i) values[static_cast<std::size_t>(offsets[own] + i)] = static_cast<float>(own);
  world.all_gather_in_place(std::span(values), counts, offsets);
  for (std::size_t r = 0; r < counts.size(); ++r)
    for (std::int64_t i = 0; i < counts[r]; ++i) EXPECT_EQ(values[static_cast<std::size_t>(offsets[r] + i)], static_cast<float>(r));
}

TEST(Agree, throws_the_first_failing_ranks_error_on_every_rank) {
  const auto world = Communicator::world();
  const int guilty = world.size() - 1;
  try {
    agreed(world, [&] {
      if (world.rank() == guilty) fail(ErrorKind::data, "bad row {}", 17);
    });
    FAIL() << "no rank threw";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("bad row 17"), std::string::npos);
    if (world.size() > 1) {
      EXPECT_NE(std::string(error.what()).find(fmt::format("rank {}", guilty)), std::string::npos);
    }
  }
  EXPECT_EQ(agreed(world, [] { return 5; }), 5);
}

}  // namespace
}  // namespace tributary
