// The loop of AdamW over consecutive elements.
#pragma once

#include <cstdint>

namespace tributary {

struct AdamScalars {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float keep;          // 1 - learning rate * weight decay
  float step_size;     // learning rate / (1 - beta1^t)
  float inverse_root;  // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float gradient_factor;  // clipping
};

// Elementwise in IEEE single precision without contraction: the same bits for any alignment, length or split of the range.
void adamw_elements(std::int64_t count, const AdamScalars& s, const float* gradient, float* first, float* second, float* parameter);

}  // namespace tributary
