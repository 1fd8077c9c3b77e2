#include "model/layers/matmul.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

at::Tensor forward_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  const at::Tensor rows = as_rows(x);
  return product(rows, weight.t(), bias).view(shape);
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& given_bias,
                            const Waiting& waiting) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    waiting.save(ctx);
    ctx->save_for_backward({x, weight, bias});
    return forward_linear(x, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
    const at::Tensor dy = as_rows(gradients[0]);  // [N, F]
    const Waiting waiting(ctx);
    if (ctx->needs_input_grad(1)) waiting.add(weight, [dy, x] { return product(dy.t(), as_rows(x)); });
    if (bias.defined() && ctx->needs_input_grad(2)) waiting.add(bias, [dy] { return dy.sum(0); });
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) dx = product(dy, weight).view(x.sizes());
    return {dx, {}, {}, {}};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, WeightQueue* queue) {
  check(x.size(-1) == weight.size(1), "linear: input width {}, weight takes {}", x.size(-1), weight.size(1));
  if (!recorded("linear", queue, {x, weight, bias})) return forward_linear(x, weight, bias);
  return Linear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt, Waiting(queue));
}

}  // namespace tributary::ops
