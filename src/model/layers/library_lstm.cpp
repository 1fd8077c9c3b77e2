#include "model/layers/device.h"
#include "model/layers/library.h"
#include "model/layers/matmul.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

// What forward leaves for backward, step after step: inputs and outputs in the compute type, gates and states in the accumulation type.
struct LibrarySteps {
  at::Tensor x;      // [T, B, D]
  at::Tensor gates;  // [T, B, 4h] activated: i, f, g, o
  at::Tensor c;      // [T + 1, B, h], the first is the zero state
  at::Tensor h;      // [T + 1, B, h]
};

struct Gates {
  at::Tensor i, f, g, o;  // views
};
Gates gates_of(const at::Tensor& all) {
  const std::int64_t width = all.size(-1) / 4;
  return {all.narrow(-1, 0, width), all.narrow(-1, width, width), all.narrow(-1, 2 * width, width), all.narrow(-1, 3 * width, width)};
}

LibrarySteps library_forward(const at::Tensor& x, const LstmWeights& w) {
  const at::AutoDispatchBelowADInplaceOrView guard;
  const std::int64_t records = x.size(0), length = x.size(1), width = w.weight_hh.size(1);
  const at::TensorOptions options = x.options().requires_grad(false), wide = options.dtype(accumulation_type(x.scalar_type()));
  LibrarySteps steps;
  steps.x = x.transpose(0, 1).contiguous();
  const at::Tensor sums = library::product(as_rows(steps.x), w.weight_ih.t(), w.bias_ih + w.bias_hh).view({length, records, 4 * width});
  steps.gates = at::empty({length, records, 4 * width}, wide);
  steps.c = at::zeros({length + 1, records, width}, wide);
  steps.h = at::zeros({length + 1, records, width}, options);
  const at::Tensor recurrent = w.weight_hh.t();
  for (std::int64_t t = 0; t < length; ++t) {
    const at::Tensor all = steps.gates.select(0, t), c = steps.c.select(0, t + 1);
    all.copy_(t > 0 ? at::addmm(sums.select(0, t), steps.h.select(0, t), recurrent) : sums.select(0, t));
    const Gates gates = gates_of(all);
    all.narrow(1, 0, 2 * width).sigmoid_();
    gates.g.tanh_();
    gates.o.sigmoid_();
    c.copy_(at::addcmul(gates.f * steps.c.select(0, t), gates.i, gates.g));
    steps.h.select(0, t + 1).copy_(gates.o * c.tanh());
  }
  return steps;
}

// dy [B, T, h] -> gradient of the gates' sums [T, B, 4h], in the compute type
at::Tensor library_backward(const LibrarySteps& steps, const at::Tensor& weight_hh, const at::Tensor& dy) {
  const at::Tensor given = dy.transpose(0, 1);
  const std::int64_t length = given.size(0);
  const at::Tensor dgates = at::empty(steps.gates.sizes(), dy.options());
  at::Tensor dc, sums = at::empty(steps.gates.sizes().slice(1), steps.gates.options());
  for (std::int64_t t = length - 1; t >= 0; --t) {
    at::Tensor dh = given.select(0, t).to(sums.scalar_type());
    if (t + 1 < length) dh = dh + at::mm(dgates.select(0, t + 1), weight_hh);
    const Gates gates = gates_of(steps.gates.select(0, t)), to = gates_of(sums);
    const at::Tensor squashed = steps.c.select(0, t + 1).tanh(), through = at::tanh_backward(dh * gates.o, squashed);
    const at::Tensor state = dc.defined() ? dc + through : through;
    to.i.copy_(at::sigmoid_backward(state * gates.g, gates.i));
    to.f.copy_(at::sigmoid_backward(state * steps.c.select(0, t), gates.f));
    to.g.copy_(at::tanh_backward(state * gates.i, gates.g));
    to.o.copy_(at::sigmoid_backward(dh * squashed, gates.o));
    dgates.select(0, t).copy_(sums);
    dc = state * gates.f;
  }
  return dgates;
}

at::Tensor library_output(const LibrarySteps& steps) { return steps.h.narrow(0, 1, steps.x.size(0)).transpose(0, 1).contiguous(); }

// Sum over steps of dgates[t]^T h[t - 1]; the first step saw zeros.
at::Tensor library_recurrent_product(const at::Tensor& dgates, const at::Tensor& h) {
  const std::int64_t later = dgates.size(0) - 1;
  return library::product(as_rows(dgates.narrow(0, 1, later)).t(), as_rows(h.narrow(0, 1, later)));
}

struct LibraryLstm : torch::autograd::Function<LibraryLstm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight_ih, const at::Tensor& weight_hh, const at::Tensor& bias_ih,
                            const at::Tensor& bias_hh, const Waiting& waiting) {
    const LibrarySteps steps = library_forward(x, {weight_ih, weight_hh, bias_ih, bias_hh});
    waiting.save(ctx);
    ctx->save_for_backward({weight_ih, weight_hh, bias_ih, bias_hh});
    ctx->saved_data["steps"] = std::vector<at::Tensor>{steps.x, steps.gates, steps.c, steps.h};
    return library_output(steps);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list weights = ctx->get_saved_variables();
    const std::vector<at::Tensor> kept = ctx->saved_data.at("steps").toTensorVector();
    const LibrarySteps steps{kept[0], kept[1], kept[2], kept[3]};
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor dgates = library_backward(steps, weights[1], gradients[0]);
    const Waiting waiting(ctx);
    if (ctx->needs_input_grad(1)) waiting.add(weights[0], [dgates, x = steps.x] { return library::product(as_rows(dgates).t(), as_rows(x)); });
    if (ctx->needs_input_grad(2)) waiting.add(weights[1], [dgates, h = steps.h] { return library_recurrent_product(dgates, h); });
    for (const std::size_t bias : {2, 3}) {
      if (ctx->needs_input_grad(bias + 1)) waiting.add(weights[bias], [dgates] { return as_rows(dgates).sum(0); });
    }
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) dx = library::product(as_rows(dgates), weights[0]).view(steps.x.sizes()).transpose(0, 1).contiguous();
    return {dx, {}, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor library::lstm(const at::Tensor& x, const LstmWeights& w, WeightQueue* queue) {
  if (!recorded("lstm", queue, {x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh})) return library_output(library_forward(x, w));
  return LibraryLstm::apply(x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, Waiting(queue));
}

}  // namespace tributary::ops
