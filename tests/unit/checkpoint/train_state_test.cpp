#include "checkpoint/train_state.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

TrainState some_state() {
  TrainState state;
  state.step = 1234;
  state.updates = 1230;
  state.seed = 0xFEDCBA9876543210ULL;
  state.total_steps = 5000;
  state.skipped_in_row = 2;
  state.skipped = 4;
  state.has_best = true;
  state.best_value = 0.1 + 0.2;
  state.best_step = 1000;
  state.validations_without_improvement = 3;
  state.validations = {{500, 0.75}, {1000, 0.30000000000000004}};
  state.data_digest = "abc";
  state.settings_digest = "def";
  state.loss_scale = 4096;
  state.loss_scale_good_steps = 17;
  return state;
}

TEST(TrainState, comes_back_as_it_was) {
  EXPECT_EQ(train_state_from_bytes(to_bytes(some_state()), "state.bin"), some_state());
  EXPECT_EQ(train_state_from_bytes(to_bytes(TrainState{}), "state.bin"), TrainState{});
  EXPECT_EQ(to_bytes(some_state()), to_bytes(some_state()));
}

std::string refusal(const std::string& bytes) {
  try {
    (void)train_state_from_bytes(bytes, "state.bin");
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "accepted";
}

TEST(TrainState, refuses_every_flipped_bit_and_every_truncation) {
  const std::string good = to_bytes(some_state());
  ASSERT_GT(good.size(), 150U);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(refusal(bad), testing::StartsWith("65 state.bin: ")) << "bit " << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) ASSERT_THAT(refusal(good.substr(0, size)), testing::StartsWith("65 state.bin: ")) << size;
  EXPECT_THAT(refusal(good + "x"), testing::StartsWith("65 state.bin: "));
}

TEST(TrainState, names_both_versions_when_they_differ) {
  std::string other = to_bytes(some_state());
  other[8] = 9;
  EXPECT_THAT(refusal(other), testing::HasSubstr("version 9, this program reads version 1"));
}

}  // namespace
}  // namespace tributary
