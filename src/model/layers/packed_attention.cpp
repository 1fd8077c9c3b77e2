#include <cmath>

#include "model/layers/attention_kernel.h"
#include "model/layers/device.h"
#include "model/layers/library.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

// One leaf's sequences, heads and draws.
struct Heads {
  std::vector<std::int64_t> lengths;
  std::int64_t heads = 0, width = 0;  // of a head
  double p = 0;                       // 0: no weight is dropped
  Key key;

  [[nodiscard]] double scale() const { return 1 / std::sqrt(static_cast<double>(width)); }
  [[nodiscard]] HeadShape shape(std::size_t sequence) const { return {lengths[sequence], width, static_cast<float>(scale())}; }
  [[nodiscard]] WeightDropout dropout(std::size_t sequence, std::int64_t head) const {
    const auto threshold = static_cast<std::uint32_t>(std::llround(p * 65536));
    return {derive_key(Draw::dropout, {key.low, key.high, sequence, static_cast<std::uint64_t>(head)}), std::min(threshold, 65535U)};
  }
};

// work(sequence, first row, head) for each.
template <class Work>
void for_each_head(const Heads& heads, const Work& work) {
  std::int64_t row = 0;
  for (std::size_t s = 0; s < heads.lengths.size(); row += heads.lengths[s++])
    for (std::int64_t head = 0; head < heads.heads; ++head) work(s, row, head);
}

struct Attended {
  at::Tensor out, log_sum;  // [N, d], [heads, N]
};

HeadRows rows_of(const at::Tensor& x, std::int64_t row, std::int64_t column) { return {x.const_data_ptr<float>() + row * x.size(1) + column, x.size(1)}; }

Attended forward_float(const Heads& heads, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::TensorOptions options = q.options().requires_grad(false);
  const Attended result{at::empty(q.sizes(), options), at::empty({heads.heads, q.size(0)}, options)};
  AttentionScratch scratch;
  for_each_head(heads, [&](std::size_t s, std::int64_t row, std::int64_t head) {
    const std::int64_t column = head * heads.width;
    attention_forward(heads.shape(s), heads.dropout(s, head), rows_of(q, row, column), rows_of(k, row, column), rows_of(v, row, column),
                      result.out.data_ptr<float>() + row * q.size(1) + column, q.size(1), result.log_sum.data_ptr<float>() + head * q.size(0) + row, scratch);
  });
  return result;
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads) {
    const Attended result = forward_float(heads, q, k, v);
    ctx->save_for_backward({q, k, v, result.out});  // the one place that may hold an output: in saved_data it would keep its own graph alive
    ctx->saved_data["log_sum"] = result.log_sum;
    ctx->saved_data["lengths"] = heads.lengths;
    ctx->saved_data["heads"] = heads.heads;
    ctx->saved_data["p"] = heads.p;
    ctx->saved_data["low"] = static_cast<std::int64_t>(heads.key.low);
    ctx->saved_data["high"] = static_cast<std::int64_t>(heads.key.high);
    return result.out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& given) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], dy = given[0].contiguous();
    const at::Tensor log_sum = ctx->saved_data.at("log_sum").toTensor();
    const std::int64_t count = ctx->saved_data.at("heads").toInt();
    const Heads heads{ctx->saved_data.at("lengths").toIntVector(),
                      count,
                      q.size(1) / count,
                      ctx->saved_data.at("p").toDouble(),
                      {static_cast<std::uint64_t>(ctx->saved_data.at("low").toInt()), static_cast<std::uint64_t>(ctx->saved_data.at("high").toInt())}};
    const at::Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
    AttentionScratch scratch;
    for_each_head(heads, [&](std::size_t s, std::int64_t row, std::int64_t head) {
      const std::int64_t column = head * heads.width, place = row * q.size(1) + column;
      attention_backward(heads.shape(s), heads.dropout(s, head), rows_of(q, row, column), rows_of(k, row, column), rows_of(v, row, column),
                         rows_of(saved[3], row, column), log_sum.const_data_ptr<float>() + head * q.size(0) + row, rows_of(dy, row, column),
                         {dq.data_ptr<float>() + place, dk.data_ptr<float>() + place, dv.data_ptr<float>() + place, q.size(1)}, scratch);
    });
    return {dq, dk, dv, {}};
  }
};

// The same draws as the kernels', as factors on the weights [heads, L, L].
at::Tensor weight_factors(const Heads& heads, std::size_t sequence, const at::TensorOptions& options) {
  const std::int64_t length = heads.lengths[sequence], padded = (length + 31) / 32 * 32;
  at::Tensor factors = at::empty({heads.heads, length, padded}, options.requires_grad(false));
  std::vector<std::uint8_t> keep;
  for (std::int64_t head = 0; head < heads.heads; ++head) {
    const WeightDropout dropout = heads.dropout(sequence, head);
    draw_attention_mask(dropout, 0, length, padded, keep);
    auto* to = factors.data_ptr<double>() + head * length * padded;
    for (std::int64_t i = 0; i < length * padded; ++i) to[i] = keep[static_cast<std::size_t>(i)] != 0 ? static_cast<double>(dropout.inverse()) : 0.0;
  }
  return factors.narrow(2, 0, length);
}

// float64, by the library's operators, sequence after sequence.
at::Tensor attend_double(const Heads& heads, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  std::vector<at::Tensor> outputs;
  std::int64_t row = 0;
  for (std::size_t s = 0; s < heads.lengths.size(); row += heads.lengths[s++]) {
    const std::int64_t length = heads.lengths[s];
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, row, length).view({length, heads.heads, heads.width}).transpose(0, 1); };
    at::Tensor weights = at::softmax(at::matmul(part(q) * heads.scale(), part(k).transpose(1, 2)), -1);
    if (heads.p > 0) weights = weights * weight_factors(heads, s, q.options());
    outputs.push_back(at::matmul(weights, part(v)).transpose(0, 1).reshape({length, heads.heads * heads.width}));
  }
  return at::cat(outputs);
}

}  // namespace

at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& lengths, std::int64_t heads, double p,
                            const Key& key) {
  check(q.dim() == 2 && q.sizes() == k.sizes() && q.sizes() == v.sizes() && heads >= 1 && q.size(1) % heads == 0, "packed_attention: shapes do not fit");
  check(p >= 0 && p < 1, "packed_attention: probability {} is not in [0, 1)", p);
  const at::Tensor counted = lengths.contiguous();
  const auto* first = counted.const_data_ptr<std::int64_t>();
  const Heads setting{{first, first + counted.numel()}, heads, q.size(1) / heads, p, key};
  std::int64_t rows = 0;
  for (const std::int64_t length : setting.lengths) rows += length;
  check(rows == q.size(0), "packed_attention: sequences of {} tokens together in {} rows", rows, q.size(0));
  if (is_host_double(q)) return attend_double(setting, q, k, v);
  if (!is_host_float(q)) return library::packed_attention(q, k, v, lengths, heads, p, key);
  const bool wanted = at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  const at::Tensor dense_q = q.contiguous(), dense_k = k.contiguous(), dense_v = v.contiguous();
  return wanted ? PackedAttention::apply(dense_q, dense_k, dense_v, setting) : forward_float(setting, dense_q, dense_k, dense_v).out;
}

}  // namespace tributary::ops
