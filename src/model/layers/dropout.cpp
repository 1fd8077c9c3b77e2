#include <algorithm>
#include <cmath>

#include "model/layers/operators.h"
#include "model/layers/philox_lanes.h"
#include "model/layers/recorded.h"
#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t block = philox_block;  // elements decided at a time

// keep[i] = draw i >= threshold: element i is word i % 4 of philox(key, i / 4). Room for count rounded up to `block`.
TRIBUTARY_VECTORISED void draw_mask(const Key& key, std::uint32_t threshold, std::int64_t count, std::uint8_t* keep) {
  for (std::int64_t i = 0; i < count; i += block) {
    std::uint32_t words[philox_block];
    philox_lanes(key, static_cast<std::uint64_t>(i / 4), words);
    for (int j = 0; j < philox_block; ++j) keep[i + j] = words[j] >= threshold;
  }
}

TRIBUTARY_VECTORISED void select_scaled(const float* x, const std::uint8_t* keep, float scale, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = keep[i] != 0 ? x[i] * scale : 0.0F;
}

TRIBUTARY_VECTORISED void select_scaled(const double* x, const std::uint8_t* keep, double scale, std::int64_t count, double* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = keep[i] != 0 ? x[i] * scale : 0.0;
}

at::Tensor make_mask(const at::Tensor& x, double p, const Key& key) {
  const std::int64_t room = (x.numel() + block - 1) / block * block;
  at::Tensor keep = at::empty({room}, x.options().dtype(at::kByte).requires_grad(false));
  const auto threshold = static_cast<std::uint32_t>(std::min(std::llround(p * 0x1p32), (1LL << 32) - 1));
  draw_mask(key, threshold, x.numel(), keep.data_ptr<std::uint8_t>());
  return keep;
}

at::Tensor apply_mask(const at::Tensor& x, const at::Tensor& keep, double p) {
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty(dense.sizes(), dense.options().requires_grad(false));
  const std::uint8_t* mask = keep.data_ptr<std::uint8_t>();
  const double scale = 1 / (1 - p);
  if (x.scalar_type() == at::kFloat) {
    select_scaled(dense.const_data_ptr<float>(), mask, static_cast<float>(scale), dense.numel(), y.data_ptr<float>());
  } else {
    select_scaled(dense.const_data_ptr<double>(), mask, scale, dense.numel(), y.data_ptr<double>());
  }
  return y;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double p, const Key& key) {
    const at::Tensor keep = make_mask(x, p, key);
    ctx->saved_data["keep"] = keep;
    ctx->saved_data["p"] = p;
    return apply_mask(x, keep, p);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    return {apply_mask(gradients[0], ctx->saved_data.at("keep").toTensor(), ctx->saved_data.at("p").toDouble()), {}, {}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const Key& key, bool training) {
  check(p >= 0 && p < 1, "dropout: probability {} is not in [0, 1)", p);
  check(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble, "dropout: neither float32 nor float64");
  if (!training || p == 0) return x;
  return Dropout::apply(x, p, key);
}

}  // namespace tributary::ops
