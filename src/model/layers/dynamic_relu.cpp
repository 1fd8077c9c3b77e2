#include "model/layers/matmul.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

struct Parts {
  at::Tensor y, mean, hidden;  // [N, F], [N, 1], [N, 64]
};

Parts forward_parts(const at::Tensor& rows, const DynamicReluWeights& w) {
  const at::Tensor mean = rows.mean(1, true);
  const at::Tensor hidden = product(mean, w.d1.t(), w.b1).tanh_();
  at::Tensor y = product(hidden, w.d2.t(), w.b2);  // alpha
  at::sub_out(y, rows, y);
  return {y.relu_(), mean, hidden};
}

struct DynamicRelu : torch::autograd::Function<DynamicRelu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& d1, const at::Tensor& b1, const at::Tensor& d2, const at::Tensor& b2,
                            const Waiting& waiting) {
    const Parts parts = forward_parts(as_rows(x), {d1, b1, d2, b2});
    const at::Tensor y = parts.y.view(x.sizes());
    waiting.save(ctx);
    ctx->save_for_backward({y, parts.mean, parts.hidden, d1, b1, d2, b2});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor mean = saved[1], hidden = saved[2], d1 = saved[3], b1 = saved[4], d2 = saved[5], b2 = saved[6];
    const at::Tensor g = at::threshold_backward(as_rows(gradients[0]), as_rows(saved[0]), 0);  // [N, F]; the gradient of alpha is -g
    const Waiting waiting(ctx);
    if (ctx->needs_input_grad(3)) waiting.add(d2, [g, hidden] { return product(g.t(), hidden).neg_(); });
    if (ctx->needs_input_grad(4)) waiting.add(b2, [g] { return g.sum(0).neg_(); });
    if (!ctx->needs_input_grad(0) && !ctx->needs_input_grad(1) && !ctx->needs_input_grad(2)) return {{}, {}, {}, {}, {}, {}};

    const at::Tensor dpre = at::tanh_backward(product(g, d2).neg_(), hidden);  // [N, 64]
    if (ctx->needs_input_grad(1)) waiting.add(d1, [dpre, mean] { return product(dpre.t(), mean); });
    if (ctx->needs_input_grad(2)) waiting.add(b1, [dpre] { return dpre.sum(0); });
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) dx = at::add(g, product(dpre, d1).div_(static_cast<double>(g.size(1)))).view(gradients[0].sizes());
    return {dx, {}, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor dynamic_relu(const at::Tensor& x, const DynamicReluWeights& w, WeightQueue* queue) {
  check(x.size(-1) == w.d2.size(0), "dynamic_relu: input width {}, weights for {}", x.size(-1), w.d2.size(0));
  if (!recorded("dynamic_relu", queue, {x, w.d1, w.b1, w.d2, w.b2})) return forward_parts(as_rows(x), w).y.view(x.sizes());
  return DynamicRelu::apply(x, w.d1, w.b1, w.d2, w.b2, Waiting(queue));
}

}  // namespace tributary::ops
