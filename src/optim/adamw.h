// AdamW on a slice of the arena: each rank keeps moments for its slice only and updates its slice of the parameters.
// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (ICLR 2019), algorithm 2.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "model/parameters.h"
#include "optim/optim_config.h"

namespace tributary {

struct AdamState {
  at::Tensor first, second;  // [own slice] moments; 0 in padding
  std::int64_t updates = 0;  // steps applied (skipped ones do not count): the t of the bias correction
};
[[nodiscard]] AdamState make_adam_state(std::int64_t own, at::Device device = at::kCPU);

struct UpdateScale {
  double learning_rate = 0;    // of this step, before the factors by name
  double gradient_factor = 1;  // clipping, and back from the loss scale
};

// Updates this rank's slice of `parameters` and `state`. An element's new bits depend on its own old ones alone, never on the slicing. Frozen entries and
// padding are left as they are. The longest prefix in OptimConfig::factor that fits an entry's name decides its factor.
void update_slice(const ParameterLayout& layout, const OptimConfig& config, const UpdateScale& scale, std::int64_t slice_offset, const at::Tensor& gradient,
                  AdamState& state, const at::Tensor& parameters);

// The same by the library's fused operator, on any device, after `state.updates` was raised: what update_slice() does where `parameters` are not in host
// memory.
void update_by_library(const ParameterLayout& layout, const OptimConfig& config, const UpdateScale& scale, std::int64_t slice_offset,
                       const at::Tensor& gradient, const AdamState& state, const at::Tensor& parameters);

}  // namespace tributary
