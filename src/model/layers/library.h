// The operators of operators.h by the library's own, for any device and any floating type: what runs wherever our kernels do not. Deterministic, without a
// generator of their own, and without a wait for the device. For the operators themselves and for the tests that hold both ways against each other.
#pragma once

#include <ATen/ATen.h>

#include "base/key.h"
#include "model/layers/operators.h"

namespace tributary::ops::library {

// As product() of matmul.h.
[[nodiscard]] at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

// As ops::dropout in training: the mask of keep_mask(). By multiplication: a NaN that is dropped stays one.
[[nodiscard]] at::Tensor dropout(const at::Tensor& x, double p, const Key& key);

// As ops::packed_attention, but the weights dropped are those of keep_mask(), keyed by (key, group of sequences). Sequences are padded to groups of similar
// length, so a row's bits depend on the whole batch. Padded q, k and v, weights and mask are kept for backward.
[[nodiscard]] at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& lengths, std::int64_t heads,
                                          double p, const Key& key);

// As ops::lstm. Gates and cell states are float32 at least.
[[nodiscard]] at::Tensor lstm(const at::Tensor& x, const LstmWeights& weights, WeightQueue* queue);

}  // namespace tributary::ops::library
