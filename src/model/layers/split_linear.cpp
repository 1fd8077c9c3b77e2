#include "model/layers/split_linear.h"

#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

at::Tensor forward_split(const at::Tensor& positions, const at::Tensor& record, const at::Tensor& weight) {
  const std::int64_t width = positions.size(2);
  const at::Tensor y = at::mm(as_rows(positions), weight.narrow(1, 0, width).t()).view({positions.size(0), positions.size(1), weight.size(0)});
  return y + at::mm(record, weight.narrow(1, width, record.size(1)).t()).unsqueeze(1);
}

struct Split : torch::autograd::Function<Split> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& positions, const at::Tensor& record, const at::Tensor& weight, const Waiting& waiting) {
    waiting.save(ctx);
    ctx->save_for_backward({positions, record, weight});
    return forward_split(positions, record, weight);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &positions = saved[0], &record = saved[1], &weight = saved[2];
    const at::Tensor dy = as_rows(gradients[0]), total = gradients[0].sum(1);  // [B T, F], [B, F]
    if (ctx->needs_input_grad(2)) {
      Waiting(ctx).add(weight, [positions, record, dy, total] { return at::cat({at::mm(dy.t(), as_rows(positions)), at::mm(total.t(), record)}, 1); });
    }
    at::Tensor to_positions, to_record;
    if (ctx->needs_input_grad(0)) to_positions = at::mm(dy, weight.narrow(1, 0, positions.size(2))).view(positions.sizes());
    if (ctx->needs_input_grad(1)) to_record = at::mm(total, weight.narrow(1, positions.size(2), record.size(1)));
    return {to_positions, to_record, {}, {}};
  }
};

}  // namespace

at::Tensor split_linear(const at::Tensor& positions, const at::Tensor& record, const at::Tensor& weight, WeightQueue* queue) {
  check(positions.size(0) == record.size(0) && positions.size(2) + record.size(1) == weight.size(1), "split_linear: {} + {} features, weight takes {}",
        positions.size(2), record.size(1), weight.size(1));
  if (!recorded("split_linear", queue, {positions, record, weight})) return forward_split(positions, record, weight);
  return Split::apply(positions, record, weight, Waiting(queue));
}

}  // namespace tributary::ops
