#include <algorithm>
#include <cmath>

#include "model/layers/operators.h"
#include "model/layers/recorded.h"
#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

constexpr int calls = 16, words = 4;
constexpr std::int64_t block = calls * words;  // elements decided at a time

// keep[i] = draw i >= threshold, for the `block` elements from 4 * first_call on: element i is word i % 4 of philox(key, i / 4).
// The same rounds as philox() in base, for `calls` counters side by side.
TRIBUTARY_INLINE void draw_block(const Key& key, std::uint64_t first_call, std::uint32_t threshold, std::uint8_t* keep) {
  std::uint32_t c0[calls], c1[calls], c2[calls], c3[calls];
  for (int j = 0; j < calls; ++j) {
    const std::uint64_t counter = first_call + static_cast<std::uint64_t>(j);
    c0[j] = static_cast<std::uint32_t>(counter);
    c1[j] = static_cast<std::uint32_t>(counter >> 32);
    c2[j] = static_cast<std::uint32_t>(key.high);
    c3[j] = static_cast<std::uint32_t>(key.high >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.low), k1 = static_cast<std::uint32_t>(key.low >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int j = 0; j < calls; ++j) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * c0[j], product1 = std::uint64_t{0xCD9E8D57U} * c2[j];
      c0[j] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[j] ^ k0;
      c2[j] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[j] ^ k1;
      c1[j] = static_cast<std::uint32_t>(product1);
      c3[j] = static_cast<std::uint32_t>(product0);
    }
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  for (int j = 0; j < calls; ++j) {
    keep[words * j] = c0[j] >= threshold;
    keep[words * j + 1] = c1[j] >= threshold;
    keep[words * j + 2] = c2[j] >= threshold;
    keep[words * j + 3] = c3[j] >= threshold;
  }
}

// keep: room for count rounded up to `block`.
TRIBUTARY_VECTORISED void draw_mask(const Key& key, std::uint32_t threshold, std::int64_t count, std::uint8_t* keep) {
  for (std::int64_t i = 0; i < count; i += block) draw_block(key, static_cast<std::uint64_t>(i / words), threshold, keep + i);
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
