#include "batches/token_packing.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/key.h"

namespace tributary {
namespace {

using testing::ElementsAre;

std::vector<std::int64_t> sums_of(const std::vector<std::int64_t>& tokens, const std::vector<std::vector<std::size_t>>& groups) {
  std::vector<std::int64_t> sums;
  for (const auto& group : groups)
    sums.push_back(std::accumulate(group.begin(), group.end(), std::int64_t{0}, [&](std::int64_t sum, std::size_t i) { return sum + tokens[i]; }));
  return sums;
}

TEST(PackByTokens, makes_nearly_equal_groups_in_order) {
  EXPECT_THAT(pack_by_tokens({5, 5, 5, 5}, 10), ElementsAre(ElementsAre(0, 2), ElementsAre(1, 3)));
  EXPECT_THAT(pack_by_tokens({100, 1, 1}, 10), ElementsAre(ElementsAre(0), ElementsAre(1, 2)));
  EXPECT_THAT(pack_by_tokens({0, 0}, 10), ElementsAre(ElementsAre(0, 1)));
  EXPECT_TRUE(pack_by_tokens({}, 10).empty());
}

TEST(PackByTokens, covers_every_item_once_keeps_to_the_budget_and_wastes_little_on_clinical_lengths) {
  double packed = 0, room = 0;
  for (std::uint64_t round = 0; round < 200; ++round) {
    const Key key = derive_key(Draw::synth, {round, 3});
    const auto count = static_cast<std::size_t>(1 + 64 * uniform(key, 0));
    std::vector<std::int64_t> tokens;
    for (std::size_t i = 0; i < count; ++i)  // log-normal, cut at 512, as notes are
      tokens.push_back(std::clamp<std::int64_t>(
          std::llround(160 * std::exp(0.9 * std::sqrt(12.0) * (uniform(key, 4 * i + 1) + uniform(key, 4 * i + 2) - 1) / std::sqrt(2.0))), 4, 512));
    const std::int64_t budget = 512 + static_cast<std::int64_t>(3000 * uniform(key, 9999));
    const auto groups = pack_by_tokens(tokens, budget);
    std::set<std::size_t> seen;
    for (const auto& group : groups) {
      ASSERT_FALSE(group.empty());
      for (const std::size_t item : group) ASSERT_TRUE(seen.insert(item).second);
    }
    ASSERT_EQ(seen.size(), count);
    const auto sums = sums_of(tokens, groups);
    const std::int64_t highest = *std::max_element(sums.begin(), sums.end());
    ASSERT_LE(highest, budget);
    if (count >= 32 && groups.size() >= 2 && groups.size() <= count / 6) {
      packed += static_cast<double>(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}));
      room += static_cast<double>(highest) * static_cast<double>(groups.size());
    }
  }
  ASSERT_GT(room, 100000);
  EXPECT_GT(packed / room, 0.97) << "leaves of equal cost: share of the longest one's tokens that are real";
}

TEST(EncoderTokens, count_special_tokens_limits_and_overlapping_windows) {
  const auto tokens = [](std::uint32_t all, std::uint16_t longest, std::uint16_t notes, const TokenRules& rules) {
    IndexRow row;
    row.tokens = all;
    row.longest_note = longest;
    row.notes = notes;
    return encoder_tokens(row, rules);
  };
  const TokenRules plain{0, 0, {512, 384}}, cut{1, 100, {512, 384}};
  EXPECT_EQ(tokens(0, 0, 0, plain), 0);
  EXPECT_EQ(tokens(30, 30, 1, plain), 32);
  EXPECT_EQ(tokens(510, 510, 1, plain), 512);
  EXPECT_EQ(tokens(894, 894, 1, plain), 512 + 512);
  EXPECT_EQ(tokens(50, 30, 2, plain), 54);
  EXPECT_EQ(tokens(900, 500, 2, cut), 102);
  EXPECT_EQ(tokens(200000, 65535, 1, plain) > 200000, true) << "a length above what the index row can say";
}

}  // namespace
}  // namespace tributary
