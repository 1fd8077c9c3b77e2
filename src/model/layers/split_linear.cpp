#include "model/layers/split_linear.h"

#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"

namespace tributary::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct Split : torch::autograd::Function<Split> {
  static Variable forward(AutogradContext* ctx, const Variable& positions, const Variable& record, const Variable& weight, WeightQueue* queue) {
    const std::int64_t rows = positions.size(0), steps = positions.size(1), width = positions.size(2), rest = record.size(1);
    ctx->save_for_backward({positions, record, weight});
    ctx->saved_data["queue"] = reinterpret_cast<std::int64_t>(queue);
    ctx->saved_data["slot"] = static_cast<std::int64_t>(queue == nullptr ? -1 : queue->reserve());
    at::Tensor y = at::mm(positions.reshape({rows * steps, width}), weight.narrow(1, 0, width).t()).view({rows, steps, -1});
    return y.add_(at::mm(record, weight.narrow(1, width, rest).t()).unsqueeze(1));
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &positions = saved[0], &record = saved[1], &weight = saved[2];
    const std::int64_t width = positions.size(2), rest = record.size(1);
    const at::Tensor gradient = gradients[0].reshape({-1, weight.size(0)}), total = gradients[0].sum(1);  // [B T, F], [B, F]
    if (ctx->needs_input_grad(2)) {
      auto* queue = reinterpret_cast<WeightQueue*>(ctx->saved_data["queue"].toInt());
      check(queue != nullptr, "split_linear: a gradient is recorded without a queue for its weight product");
      queue->add(static_cast<int>(ctx->saved_data["slot"].toInt()), weight, [positions, record, gradient, total] {
        return at::cat({at::mm(gradient.t(), positions.reshape({-1, positions.size(2)})), at::mm(total.t(), record)}, 1);
      });
    }
    at::Tensor to_positions, to_record;
    if (ctx->needs_input_grad(0)) to_positions = at::mm(gradient, weight.narrow(1, 0, width)).view_as(positions);
    if (ctx->needs_input_grad(1)) to_record = at::mm(total, weight.narrow(1, width, rest));
    return {to_positions, to_record, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor split_linear(const at::Tensor& positions, const at::Tensor& record, const at::Tensor& weight, WeightQueue* queue) {
  return Split::apply(positions, record, weight, queue);
}

}  // namespace tributary::ops
