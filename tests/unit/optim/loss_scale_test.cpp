#include "optim/loss_scale.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

NumericsConfig half(double scale = 65536, std::int64_t window = 3) {
  NumericsConfig config;
  config.precision = "fp16";
  config.loss_scale = scale;
  config.loss_scale_window = window;
  return config;
}

TEST(LossScale, doubles_after_a_window_of_good_steps_and_halves_after_a_bad_one) {
  const NumericsConfig config = half();
  LossScale scale = first_loss_scale(config);
  EXPECT_EQ(scale, (LossScale{65536, 0}));
  for (int step = 0; step < 2; ++step) scale = next_loss_scale(scale, true, config);
  EXPECT_EQ(scale, (LossScale{65536, 2}));
  EXPECT_EQ(next_loss_scale(scale, true, config), (LossScale{131072, 0}));
  EXPECT_EQ(next_loss_scale(scale, false, config), (LossScale{32768, 0}));
}

TEST(LossScale, stays_between_its_bounds) {
  const NumericsConfig config = half(2, 1);
  LossScale low = first_loss_scale(config);
  EXPECT_TRUE(may_back_off(low));
  for (int step = 0; step < 5; ++step) low = next_loss_scale(low, false, config);
  EXPECT_EQ(low, (LossScale{1, 0}));
  EXPECT_FALSE(may_back_off(low));
  LossScale high = low;
  for (int step = 0; step < 200; ++step) high = next_loss_scale(high, true, config);
  EXPECT_EQ(high.scale, 0x1p127);
}

TEST(LossScale, is_one_in_other_precisions) {
  for (const char* precision : {"fp32", "bf16"}) {
    NumericsConfig config = half();
    config.precision = precision;
    const LossScale scale = first_loss_scale(config);
    EXPECT_EQ(scale, LossScale{});
    EXPECT_EQ(next_loss_scale(scale, false, config), scale);
    EXPECT_EQ(next_loss_scale(scale, true, config), scale);
  }
}

TEST(LossScale, that_is_no_power_of_two_is_refused) {
  for (const double good : {1.0, 2.0, 65536.0}) EXPECT_NO_THROW(check_settings(half(good)));
  for (const double bad : {3.0, 65535.0, 1.5}) EXPECT_THROW(check_settings(half(bad)), Error) << bad;
}

}  // namespace
}  // namespace tributary
