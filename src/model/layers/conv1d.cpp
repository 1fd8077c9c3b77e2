#include "model/layers/matmul.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

struct Window {
  std::int64_t taps, dilation, left, right;
  [[nodiscard]] std::int64_t span() const { return dilation * (taps - 1); }
};

// x [B, T, D] -> [B * positions, taps * D]: row i holds what output position i sees, tap by tap. Negative `left` or `right` cut instead of padding.
at::Tensor columns_of(const at::Tensor& x, const Window& window) {
  at::Tensor padded = x;
  if (window.left != 0 || window.right != 0) padded = at::constant_pad_nd(x, {0, 0, window.left, window.right}, 0);
  padded = padded.contiguous();
  const std::int64_t records = padded.size(0), length = padded.size(1), width = padded.size(2), positions = length - window.span();
  if (window.taps == 1) return padded.view({records * positions, width});
  return padded.as_strided({records, positions, window.taps, width}, {length * width, width, window.dilation * width, 1})
      .contiguous()
      .view({records * positions, window.taps * width});
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Window& window) {
  const std::int64_t filters = weight.size(0), positions = x.size(1) + window.left + window.right - window.span();
  const at::Tensor matrix = weight.permute({0, 2, 1}).reshape({filters, window.taps * weight.size(1)});  // [F, q * D]
  const at::Tensor columns = columns_of(x, window);
  return product(columns, matrix.t(), bias).view({x.size(0), positions, filters});
}

at::Tensor weight_product(const at::Tensor& x, const at::Tensor& dy, const Window& window) {
  const at::Tensor flat = product(as_rows(dy).t(), columns_of(x, window));  // [F, q * D]
  return flat.view({dy.size(2), window.taps, x.size(2)}).permute({0, 2, 1}).contiguous();
}

// The input gradient is itself a convolution: of dy with the kernel turned round.
at::Tensor input_product(const at::Tensor& dy, const at::Tensor& weight, const Window& window) {
  const Window turned{window.taps, window.dilation, window.span() - window.left, window.span() - window.right};
  return convolve(dy, weight.flip({2}).transpose(0, 1), {}, turned);
}

struct Conv1d : torch::autograd::Function<Conv1d> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& given_bias,
                            const Window& window, const Waiting& waiting) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    waiting.save(ctx);
    ctx->saved_data["window"] = std::vector<std::int64_t>{window.taps, window.dilation, window.left, window.right};
    ctx->save_for_backward({x, weight, bias});
    return convolve(x, weight, bias, window);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
    const std::vector<std::int64_t> numbers = ctx->saved_data.at("window").toIntVector();
    const Window window{numbers[0], numbers[1], numbers[2], numbers[3]};
    const at::Tensor dy = gradients[0].contiguous();
    const Waiting waiting(ctx);
    if (ctx->needs_input_grad(1)) waiting.add(weight, [x, dy, window] { return weight_product(x, dy, window); });
    if (bias.defined() && ctx->needs_input_grad(2)) waiting.add(bias, [dy] { return as_rows(dy).sum(0); });
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) dx = input_product(dy, weight, window);
    return {dx, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor conv1d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t dilation, std::int64_t left, std::int64_t right,
                  WeightQueue* queue) {
  const Window window{weight.size(2), dilation, left, right};
  check(x.dim() == 3 && x.size(2) == weight.size(1), "conv1d: input of {} dims and width {}, weight takes {}", x.dim(), x.size(-1), weight.size(1));
  check(dilation > 0 && x.size(1) + left + right > window.span(), "conv1d: {} positions with padding {} + {} are fewer than the kernel's span {}", x.size(1),
        left, right, window.span() + 1);
  if (!recorded("conv1d", queue, {x, weight, bias})) return convolve(x, weight, bias, window);
  return Conv1d::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt, window, Waiting(queue));
}

}  // namespace tributary::ops
