#include "model/layers/device.h"
#include "model/layers/library.h"
#include "model/layers/lstm_cell.h"
#include "model/layers/matmul.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

// What forward leaves for backward, step after step. States have T + 1 entries: the first is the zero state.
struct Steps {
  at::Tensor x;       // [T, B, D]
  at::Tensor gates;   // [T, B, 4h] activated
  at::Tensor c;       // [T + 1, B, h]
  at::Tensor tanh_c;  // [T, B, h]
  at::Tensor h;       // [T + 1, B, h]
};

// sums += states times one weight matrix, step after step; the matrix is packed once (float32).
class Recurrence {
 public:
  explicit Recurrence(const at::Tensor& matrix) : matrix_(matrix.scalar_type() == at::kFloat ? pack_columns(matrix) : matrix) {}
  void add(at::Tensor sums, const at::Tensor& states) const {
    if (sums.scalar_type() == at::kFloat) {
      multiply_packed(states, matrix_, sums, sums);
    } else {
      sums.addmm_(states, matrix_);
    }
  }

 private:
  at::Tensor matrix_;
};

template <class T>
void forward_cell(const Steps& steps, std::int64_t t) {
  const std::int64_t rows = steps.c.size(1), width = steps.c.size(2), cells = rows * width;
  T* c = steps.c.data_ptr<T>() + t * cells;
  lstm_cell_forward(rows, width, steps.gates.data_ptr<T>() + t * 4 * cells, c, c + cells, steps.tanh_c.data_ptr<T>() + t * cells,
                    steps.h.data_ptr<T>() + (t + 1) * cells);
}

template <class T>
void backward_cell(const Steps& steps, std::int64_t t, const at::Tensor& dh, const at::Tensor& dc, const at::Tensor& dgates) {
  const std::int64_t rows = steps.c.size(1), width = steps.c.size(2), cells = rows * width;
  lstm_cell_backward(rows, width, steps.gates.data_ptr<T>() + t * 4 * cells, steps.c.data_ptr<T>() + t * cells, steps.tanh_c.data_ptr<T>() + t * cells,
                     dh.data_ptr<T>() + t * cells, dc.data_ptr<T>(), dgates.data_ptr<T>() + t * 4 * cells);
}

Steps run_forward(const at::Tensor& x, const LstmWeights& w) {
  const at::AutoDispatchBelowADInplaceOrView guard;
  const std::int64_t records = x.size(0), length = x.size(1), width = w.weight_hh.size(1);
  const at::TensorOptions options = x.options().requires_grad(false);
  Steps steps;
  steps.x = x.transpose(0, 1).contiguous();
  steps.gates = product(as_rows(steps.x), w.weight_ih.t(), w.bias_ih + w.bias_hh).view({length, records, 4 * width});
  steps.c = at::empty({length + 1, records, width}, options);
  steps.h = at::empty({length + 1, records, width}, options);
  steps.tanh_c = at::empty({length, records, width}, options);
  steps.c.select(0, 0).zero_();
  steps.h.select(0, 0).zero_();
  const Recurrence recurrence(w.weight_hh.t());
  for (std::int64_t t = 0; t < length; ++t) {
    if (t > 0) recurrence.add(steps.gates.select(0, t), steps.h.select(0, t));
    x.scalar_type() == at::kFloat ? forward_cell<float>(steps, t) : forward_cell<double>(steps, t);
  }
  return steps;
}

// dy [B, T, h] -> gradient of the gates' sums [T, B, 4h]
at::Tensor run_backward(const Steps& steps, const at::Tensor& weight_hh, const at::Tensor& dy) {
  at::Tensor dh = dy.transpose(0, 1).clone(at::MemoryFormat::Contiguous);  // [T, B, h], the recurrent part is added as it becomes known
  const at::Tensor dc = at::zeros({dh.size(1), dh.size(2)}, dh.options());
  at::Tensor dgates = at::empty_like(steps.gates);
  const Recurrence recurrence(weight_hh);
  for (std::int64_t t = dh.size(0) - 1; t >= 0; --t) {
    dh.scalar_type() == at::kFloat ? backward_cell<float>(steps, t, dh, dc, dgates) : backward_cell<double>(steps, t, dh, dc, dgates);
    if (t > 0) recurrence.add(dh.select(0, t - 1), dgates.select(0, t));
  }
  return dgates;
}

at::Tensor output_of(const Steps& steps) { return steps.h.narrow(0, 1, steps.x.size(0)).transpose(0, 1).contiguous(); }

// Sum over steps of dgates[t]^T h[t - 1]; the first step saw zeros.
at::Tensor recurrent_product(const at::Tensor& dgates, const at::Tensor& h) {
  const std::int64_t later = dgates.size(0) - 1;
  return product(as_rows(dgates.narrow(0, 1, later)).t(), as_rows(h.narrow(0, 1, later)));
}

struct Lstm : torch::autograd::Function<Lstm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight_ih, const at::Tensor& weight_hh, const at::Tensor& bias_ih,
                            const at::Tensor& bias_hh, const Waiting& waiting) {
    const Steps steps = run_forward(x, {weight_ih, weight_hh, bias_ih, bias_hh});
    waiting.save(ctx);
    ctx->save_for_backward({weight_ih, weight_hh, bias_ih, bias_hh});
    ctx->saved_data["steps"] = std::vector<at::Tensor>{steps.x, steps.gates, steps.c, steps.tanh_c, steps.h};
    return output_of(steps);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list weights = ctx->get_saved_variables();
    const std::vector<at::Tensor> kept = ctx->saved_data.at("steps").toTensorVector();
    const Steps steps{kept[0], kept[1], kept[2], kept[3], kept[4]};
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor dgates = run_backward(steps, weights[1], gradients[0]);
    const Waiting waiting(ctx);
    if (ctx->needs_input_grad(1)) waiting.add(weights[0], [dgates, x = steps.x] { return product(as_rows(dgates).t(), as_rows(x)); });
    if (ctx->needs_input_grad(2)) waiting.add(weights[1], [dgates, h = steps.h] { return recurrent_product(dgates, h); });
    for (const std::size_t bias : {2, 3}) {
      if (ctx->needs_input_grad(bias + 1)) waiting.add(weights[bias], [dgates] { return as_rows(dgates).sum(0); });
    }
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = product(as_rows(dgates), weights[0]).view(steps.x.sizes()).transpose(0, 1).contiguous();
    }
    return {dx, {}, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor lstm(const at::Tensor& x, const LstmWeights& w, WeightQueue* queue) {
  check(x.dim() == 3 && x.size(1) > 0 && x.size(2) == w.weight_ih.size(1) && w.weight_ih.size(0) == 4 * w.weight_hh.size(1),
        "lstm: input of {} dims and width {}, weights for {}", x.dim(), x.size(-1), w.weight_ih.size(1));
  if (!is_host_float(x) && !is_host_double(x)) return library::lstm(x, w, queue);
  if (!recorded("lstm", queue, {x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh})) return output_of(run_forward(x, w));
  return Lstm::apply(x, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, Waiting(queue));
}

}  // namespace tributary::ops
