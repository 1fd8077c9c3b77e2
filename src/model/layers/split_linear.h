// A linear map of [positions ; record], where the second part is the same at every position of a record, without writing it out at every position.
#pragma once

#include <ATen/ATen.h>

#include "model/block.h"

namespace tributary::ops {

// positions [B, T, D], record [B, E], weight [F, D + E] -> [B, T, F]: weight . [positions_i ; record]. The weight gradient goes to `queue`.
[[nodiscard]] at::Tensor split_linear(const at::Tensor& positions, const at::Tensor& record, const at::Tensor& weight, WeightQueue* queue);

}  // namespace tributary::ops
