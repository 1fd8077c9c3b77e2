#include <limits>

#include "base/error.h"
#include "model/layers/operators.h"

namespace tributary::ops {

// The softmax sees -inf where nothing is valid; a row without any valid place becomes NaN inside, which the selections around it stop in both directions.
at::Tensor masked_softmax(const at::Tensor& scores, const at::Tensor& mask) {
  const at::Tensor filled = at::where(mask, scores, -std::numeric_limits<double>::infinity());
  return select_valid(at::softmax(filled, -1), mask);
}

at::Tensor pooling_weights(const at::Tensor& x, const at::Tensor& mask, const PoolingWeights& weights, WeightQueue* queue) {
  check(x.dim() == 3 && mask.dim() == 2, "pooling_weights: input of {} dims, mask of {}; expected 3 and 2", x.dim(), mask.dim());
  const at::Tensor hidden = at::tanh(linear(select_valid(x, mask.unsqueeze(-1)), weights.w, weights.b, queue));
  return masked_softmax(linear(hidden, weights.v, {}, queue).squeeze(-1), mask);
}

at::Tensor select_valid(const at::Tensor& x, const at::Tensor& mask) {
  check(mask.scalar_type() == at::kBool, "select_valid: the mask is not bool");
  return at::where(mask, x, 0);
}

}  // namespace tributary::ops
