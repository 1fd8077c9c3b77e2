// The learning rate of a step: linear warm-up, then cosine or constant. Pure.
#pragma once

#include <cstdint>

#include "optim/optim_config.h"

namespace tributary {

// step: optimizer steps before this one; total: steps of the whole run, at which the cosine ends.
[[nodiscard]] double learning_rate(const OptimConfig& config, std::int64_t step, std::int64_t total);

}  // namespace tributary
