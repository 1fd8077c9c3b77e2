// Compiled with -ffp-contract=off (src/CMakeLists.txt): a fused multiply-add in the vector part but not in the tail would tie bits to alignment.
#include "optim/adamw_kernel.h"

#include <cmath>

namespace tributary {

void adamw_elements(std::int64_t count, const AdamScalars& s, const float* __restrict gradient, float* __restrict first, float* __restrict second,
                    float* __restrict parameter) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * s.gradient_factor;
    const float m = s.beta1 * first[i] + s.one_minus_beta1 * g;
    const float v = s.beta2 * second[i] + s.one_minus_beta2 * g * g;
    first[i] = m;
    second[i] = v;
    parameter[i] = parameter[i] * s.keep - s.step_size * m / (std::sqrt(v) * s.inverse_root + s.epsilon);
  }
}

}  // namespace tributary
