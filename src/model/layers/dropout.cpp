#include "model/layers/device.h"
#include "model/layers/keep_mask.h"
#include "model/layers/library.h"
#include "model/layers/recorded.h"
#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

TRIBUTARY_VECTORISED void select_scaled(const float* x, const std::uint8_t* keep, float scale, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = keep[i] != 0 ? x[i] * scale : 0.0F;
}

TRIBUTARY_VECTORISED void select_scaled(const double* x, const std::uint8_t* keep, double scale, std::int64_t count, double* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = keep[i] != 0 ? x[i] * scale : 0.0;
}

at::Tensor apply_mask(const at::Tensor& x, const at::Tensor& keep, double p) {
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty(dense.sizes(), dense.options().requires_grad(false));
  const at::Tensor bytes = keep.view(at::kByte);
  const auto* mask = bytes.const_data_ptr<std::uint8_t>();
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
    const at::Tensor keep = keep_mask(x.sizes(), p, key, x.device());
    ctx->saved_data["keep"] = keep;
    ctx->saved_data["p"] = p;
    return apply_mask(x, keep, p);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    return {apply_mask(gradients[0], ctx->saved_data.at("keep").toTensor(), ctx->saved_data.at("p").toDouble()), {}, {}};
  }
};

// One kernel each way.
struct LibraryDropout : torch::autograd::Function<LibraryDropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double p, const Key& key) {
    const at::Tensor keep = keep_mask(x.sizes(), p, key, x.device());
    ctx->saved_data["keep"] = keep;
    ctx->saved_data["scale"] = 1 / (1 - p);
    return at::native_dropout_backward(x, keep, 1 / (1 - p));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    return {at::native_dropout_backward(gradients[0], ctx->saved_data.at("keep").toTensor(), ctx->saved_data.at("scale").toDouble()), {}, {}};
  }
};

}  // namespace

at::Tensor library::dropout(const at::Tensor& x, double p, const Key& key) { return LibraryDropout::apply(x, p, key); }

at::Tensor dropout(const at::Tensor& x, double p, const Key& key, bool training) {
  check(p >= 0 && p < 1, "dropout: probability {} is not in [0, 1)", p);
  if (!training || p == 0) return x;
  return is_host_float(x) || is_host_double(x) ? Dropout::apply(x, p, key) : library::dropout(x, p, key);
}

}  // namespace tributary::ops
