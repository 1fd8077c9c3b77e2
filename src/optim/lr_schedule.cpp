#include "optim/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tributary {

double learning_rate(const OptimConfig& config, std::int64_t step, std::int64_t total) {
  if (step < config.warmup_steps) return config.learning_rate * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  if (config.schedule == "constant") return config.learning_rate;
  const std::int64_t length = std::max<std::int64_t>(1, total - config.warmup_steps);
  const double progress = std::min(1.0, static_cast<double>(step - config.warmup_steps) / static_cast<double>(length));
  const double wave = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return config.learning_rate * (config.final_fraction + (1.0 - config.final_fraction) * wave);
}

}  // namespace tributary
