// The operators whose weight gradient can wait, and those that PyTorch draws from a hidden generator: all as pure functions.
// Shapes: B records, T positions, D features in, F features out, h recurrent width. float32, float64, bfloat16 and float16, on any device (device.h).
// Gradients of weights and biases go to `queue` (never null while gradients are recorded; it must outlive backward), under the very tensors given: pass
// the block's parameters themselves, not what was computed from them. Everything else differentiates as usual, once.
#pragma once

#include <ATen/ATen.h>

#include "base/key.h"
#include "model/block.h"

namespace tributary::ops {

// x [..., D], weight [F, D], bias [F] or undefined -> [..., F]
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, WeightQueue* queue);

// x [B, T, D], weight [F, D, q], bias [F] -> [B, T + left + right - dilation (q - 1), F]: position i sees x_{i - left}, x_{i - left + dilation}, ...; zeros
// outside. T + left + right must be at least dilation (q - 1) + 1.
[[nodiscard]] at::Tensor conv1d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t dilation, std::int64_t left,
                                std::int64_t right, WeightQueue* queue);

struct LstmWeights {
  at::Tensor weight_ih;  // [4h, D], gates i, f, g, o
  at::Tensor weight_hh;  // [4h, h]
  at::Tensor bias_ih;    // [4h]
  at::Tensor bias_hh;    // [4h]
};
// One unidirectional layer from a zero state: x [B, T, D] -> [B, T, h].
[[nodiscard]] at::Tensor lstm(const at::Tensor& x, const LstmWeights& weights, WeightQueue* queue);

// table [V, D], ids [N] -> [N, D]. float32 and float64 in host memory: the table's gradient is sparse (coalesced, one row an id in use), with the bits of the
// dense one: a vocabulary is many times as long as a leaf, and whoever adds gradients up need not pass over the zeros.
[[nodiscard]] at::Tensor embedding(const at::Tensor& table, const at::Tensor& ids);

// Zeroes elements with probability p and scales the rest by 1 / (1 - p): those that keep_mask() names (keep_mask.h), in host memory element i by draw i.
[[nodiscard]] at::Tensor dropout(const at::Tensor& x, double p, const Key& key, bool training);

// f(x) = max(0, x - alpha(x)) of the dynamic ReLU (eq 15-22): s = mean over the last dim, u = tanh(s d1 + b1) [64], alpha = u D2^T + b2.
// x [..., F], d1 [64, 1], b1 [64], d2 [F, 64], b2 [F] -> [..., F]
struct DynamicReluWeights {
  at::Tensor d1, b1, d2, b2;
};
[[nodiscard]] at::Tensor dynamic_relu(const at::Tensor& x, const DynamicReluWeights& weights, WeightQueue* queue);

// Softmax over the last dim of `scores` where `mask` (bool, broadcastable) holds; 0 elsewhere; all 0 where nothing is valid. Finite gradients always.
[[nodiscard]] at::Tensor masked_softmax(const at::Tensor& scores, const at::Tensor& mask);

// x Phi(x), with erf; float32 in host memory by a vectorised fit (relative error of Phi 2.6e-7), all else by the library. Element by element the same bits
// wherever it stands.
[[nodiscard]] at::Tensor gelu(const at::Tensor& x);

// Self-attention inside each sequence of a packed batch: q, k, v [N, d], heads side by side; lengths [W] int64 in host memory with the sum N
// -> [N, d].
// softmax(q k^T / sqrt(d / heads)) v a head; each weight is dropped with probability p (rounded to 1/65536), keyed by (key, sequence, head, query, key).
// float32 in host memory: no probabilities are kept for backward, and without dropout a sequence's bits depend on that sequence alone. Elsewhere and in half
// precision: library.h.
[[nodiscard]] at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& lengths, std::int64_t heads,
                                          double p, const Key& key);

// Attention pooling weights over dim 1: softmax_i(v . tanh(W x_i + b)) over valid i. x [B, T, D], mask [B, T] bool -> [B, T]
struct PoolingWeights {
  at::Tensor w, b, v;  // [64, D], [64], [1, 64]
};
[[nodiscard]] at::Tensor pooling_weights(const at::Tensor& x, const at::Tensor& mask, const PoolingWeights& weights, WeightQueue* queue);

// Multi-head attention of each record's first lengths[b] positions to each other, A = softmax(Q K^T / sqrt(width)) per head. Score matrices are made in
// chunks of bounded size, and again in backward, so memory does not grow with T^2.
struct AttentionInput {
  at::Tensor q, k, v;  // [B, T, heads x width]; v may be undefined
  at::Tensor lengths;  // [B] int64 in host memory, at most T
  std::int64_t heads = 0;
};
struct AttentionResult {
  at::Tensor mass;     // [B, T]: what a position receives from all queries, mean over heads; 0 past the length
  at::Tensor context;  // [B, T, heads x width]: the heads' A V side by side, 0 past the length; undefined without v
};
[[nodiscard]] AttentionResult global_attention(const AttentionInput& in);

// A itself for inspection, detached: [B, heads, T queries, T keys], 0 where query or key is past the length.
[[nodiscard]] at::Tensor attention_weights(const AttentionInput& in);

// x with 0 where `mask` (broadcastable) is false, by selection: NaN in padding does not pass, neither does its gradient.
[[nodiscard]] at::Tensor select_valid(const at::Tensor& x, const at::Tensor& mask);

}  // namespace tributary::ops
