#include "optim/loss_scale.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tributary {
namespace {

constexpr double highest = 0x1p127;  // of float32, in which the scaled loss is formed

}  // namespace

LossScale first_loss_scale(const NumericsConfig& config) { return {has_loss_scale(config) ? config.loss_scale : 1.0, 0}; }

LossScale next_loss_scale(const LossScale& now, bool finite, const NumericsConfig& config) {
  if (!has_loss_scale(config)) return now;
  if (!finite) return {std::max(1.0, now.scale / 2), 0};
  if (now.good_steps + 1 < config.loss_scale_window) return {now.scale, now.good_steps + 1};
  return {std::min(highest, now.scale * 2), 0};
}

void check_settings(const NumericsConfig& config) {
  int exponent = 0;
  if (std::frexp(config.loss_scale, &exponent) != 0.5)
    fail(ErrorKind::configuration, "numerics.loss_scale: expected a power of two such as 65536, found {}", config.loss_scale);
}

}  // namespace tributary
