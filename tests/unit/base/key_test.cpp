#include "base/key.h"

#include <gtest/gtest.h>

#include <vector>

namespace tributary {
namespace {

// Known answers published with the generator (Random123, kat_vectors: philox4x32 10).
TEST(Philox, equals_the_published_known_answers) {
  EXPECT_EQ(philox(Key{0, 0}, 0), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(Key{~0ULL, ~0ULL}, ~0ULL), (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Permutation, is_a_bijection_for_every_small_count_and_differs_by_key) {
  for (std::uint64_t count = 1; count < 200; ++count) {
    const Permutation permutation(derive_key(Draw::block_order, {1, count}), count);
    std::vector<bool> seen(count, false);
    for (std::uint64_t i = 0; i < count; ++i) {
      ASSERT_LT(permutation(i), count);
      ASSERT_FALSE(seen[permutation(i)]);
      seen[permutation(i)] = true;
    }
  }
  const Permutation a(derive_key(Draw::block_order, {1}), 1000), b(derive_key(Draw::block_order, {2}), 1000);
  int equal = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) equal += a(i) == b(i);
  EXPECT_LT(equal, 20);
}

TEST(Keys, differ_by_use_and_by_every_part) {
  EXPECT_NE(derive_key(Draw::dropout, {1, 2}), derive_key(Draw::masking, {1, 2}));
  EXPECT_NE(derive_key(Draw::dropout, {1, 2}), derive_key(Draw::dropout, {2, 1}));
  EXPECT_NE(derive_key(Draw::initial, 1, "a"), derive_key(Draw::initial, 1, "b"));
}

TEST(Uniform, has_the_mean_and_variance_of_the_unit_interval) {
  const Key key = derive_key(Draw::synth, {7});
  double sum = 0, squares = 0;
  constexpr int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double value = uniform(key, static_cast<std::uint64_t>(i));
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.005);
}

}  // namespace
}  // namespace tributary
