// Dynamic loss scale: gradients of half precision vanish unless the loss is multiplied, and overflow when it is multiplied by too much.
// Source: Micikevicius et al., "Mixed Precision Training" (ICLR 2018), section 3.2.
#pragma once

#include <cstdint>

#include "optim/optim_config.h"

namespace tributary {

struct LossScale {
  double scale = 1;             // a power of two, so that gradients are scaled back exactly
  std::int64_t good_steps = 0;  // since it last changed
  bool operator==(const LossScale&) const = default;
};

[[nodiscard]] LossScale first_loss_scale(const NumericsConfig& config);

[[nodiscard]] inline bool has_loss_scale(const NumericsConfig& config) { return config.precision == "fp16"; }

// After a step whose gradient was finite or not: the same verdict on every rank gives the same scale. Doubled after `loss_scale_window` good steps, halved
// after a bad one, never below 1 or above 2^127. Precisions other than fp16 keep 1.
[[nodiscard]] LossScale next_loss_scale(const LossScale& now, bool finite, const NumericsConfig& config);

// Whether a gradient that is not finite may come from the scale alone: then the step is tried again with less, and is no sign of a run that is stuck.
[[nodiscard]] inline bool may_back_off(const LossScale& now) { return now.scale > 1; }

// Throws: Error{configuration} unless numerics.loss_scale is a power of two.
void check_settings(const NumericsConfig& config);

}  // namespace tributary
