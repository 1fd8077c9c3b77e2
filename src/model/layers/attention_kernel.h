// Softmax attention of one head inside one sequence, forward and backward, float32, without probabilities that outlive a block of queries.
// Source: Dao et al., "FlashAttention" (NeurIPS 2022): backward forms the probabilities again from each query's log-sum.
#pragma once

#include <cstdint>
#include <vector>

#include "base/key.h"

namespace tributary::ops {

// Rows of a head in a packed matrix: row i begins at data + i * stride and has `width` values.
struct HeadRows {
  const float* data = nullptr;
  std::int64_t stride = 0;
};

struct HeadShape {
  std::int64_t length = 0;  // tokens of the sequence
  std::int64_t width = 0;   // of the head
  float scale = 1;          // on the scores
};

// Weights are kept where a draw reaches `threshold` (of 65536); 0: all are.
struct WeightDropout {
  Key key;
  std::uint32_t threshold = 0;
  [[nodiscard]] float inverse() const { return 65536.0F / static_cast<float>(65536U - threshold); }  // what kept weights are multiplied with
};

// Memory of the kernels, used again from head to head.
struct AttentionScratch {
  std::vector<float> packed_k, packed_v, scores, weights;
  std::vector<std::uint8_t> keep;
};

// out rows = softmax(scale q k^T) v; log_sum [length]: of each query's exponentials.
void attention_forward(const HeadShape& shape, const WeightDropout& dropout, HeadRows q, HeadRows k, HeadRows v, float* out, std::int64_t out_stride,
                       float* log_sum, AttentionScratch& scratch);

struct HeadGradients {
  float *q = nullptr, *k = nullptr, *v = nullptr;  // written, not added to
  std::int64_t stride = 0;
};

void attention_backward(const HeadShape& shape, const WeightDropout& dropout, HeadRows q, HeadRows k, HeadRows v, HeadRows out, const float* log_sum,
                        HeadRows out_gradient, const HeadGradients& gradients, AttentionScratch& scratch);

// keep[i * padded + j]: whether query i may look at key j, for the queries [first, first + rows). padded: length rounded up to 32.
void draw_attention_mask(const WeightDropout& dropout, std::int64_t first, std::int64_t rows, std::int64_t padded, std::vector<std::uint8_t>& keep);

}  // namespace tributary::ops
