#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/layers/device.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

// Scores of a chunk: on the CPU matrices of this size stay in the cache, on a device they are what keeps all of it busy.
std::int64_t most_scores(at::Device device) { return std::int64_t{1} << (device.is_cpu() ? 20 : 26); }

// Records [row, row + rows) and queries [query, query + queries) of their first `length` positions.
struct Chunk {
  std::int64_t row, rows, length, query, queries;
};

// Whole records side by side where they are short, a part of the queries of one record where it is long.
std::vector<Chunk> chunks_of(const std::vector<std::int64_t>& lengths, std::int64_t heads, std::int64_t most) {
  std::vector<Chunk> chunks;
  const auto records = static_cast<std::int64_t>(lengths.size());
  for (std::int64_t row = 0; row < records;) {
    std::int64_t longest = lengths[static_cast<std::size_t>(row)], end = row + 1;
    for (; end < records; ++end) {
      const std::int64_t longer = std::max(longest, lengths[static_cast<std::size_t>(end)]);
      if ((end + 1 - row) * heads * longer * longer > most) break;
      longest = longer;
    }
    const std::int64_t at_once = std::max<std::int64_t>(1, most / std::max<std::int64_t>(1, (end - row) * heads * longest));
    for (std::int64_t query = 0; query < longest; query += at_once) chunks.push_back({row, end - row, longest, query, std::min(at_once, longest - query)});
    row = end;
  }
  return chunks;
}

struct Inputs : AttentionInput {
  at::Tensor own_lengths;  // on the device
  std::vector<Chunk> chunks;

  [[nodiscard]] double scale() const { return 1.0 / std::sqrt(static_cast<double>(q.size(2) / heads)); }
  // A view of positions [first, first + count) of a chunk's records, [rows, heads, count, width].
  [[nodiscard]] at::Tensor part(const at::Tensor& x, const Chunk& chunk, std::int64_t first, std::int64_t count) const {
    return x.narrow(0, chunk.row, chunk.rows).narrow(1, first, count).view({chunk.rows, count, heads, x.size(2) / heads}).transpose(1, 2);
  }
  [[nodiscard]] at::Tensor queries(const at::Tensor& x, const Chunk& chunk) const { return part(x, chunk, chunk.query, chunk.queries); }
  [[nodiscard]] at::Tensor keys(const at::Tensor& x, const Chunk& chunk) const { return part(x, chunk, 0, chunk.length); }
  // A of the chunk [rows, heads, queries, length]: softmax over the valid keys; rows of queries that are not valid are 0.
  [[nodiscard]] at::Tensor weights(const Chunk& chunk) const {
    const at::Tensor scores = at::matmul(queries(q, chunk) * scale(), keys(k, chunk).transpose(2, 3));
    const at::Tensor own = own_lengths.narrow(0, chunk.row, chunk.rows).view({chunk.rows, 1, 1, 1});
    const at::Tensor place = at::arange(chunk.length, own_lengths.options());
    const at::Tensor queried = place.narrow(0, chunk.query, chunk.queries).view({chunk.queries, 1});
    return masked_softmax(scores, place.lt(own).logical_and(queried.lt(own)));
  }
};

Inputs inputs_of(const AttentionInput& given) {
  Inputs in{{given.q.contiguous(), given.k.contiguous(), given.v.defined() ? given.v.contiguous() : given.v, given.lengths.contiguous(), given.heads},
            moved_to(given.q, given.lengths),
            {}};
  const auto* lengths = in.lengths.const_data_ptr<std::int64_t>();
  in.chunks = chunks_of({lengths, lengths + in.lengths.numel()}, in.heads, most_scores(in.q.device()));
  return in;
}

AttentionResult forward_attention(const Inputs& in) {
  AttentionResult result;
  at::Tensor mass = at::zeros({in.q.size(0), in.q.size(1)}, in.q.options().dtype(accumulation_type(in.q.scalar_type())).requires_grad(false));
  if (in.v.defined()) result.context = at::zeros(in.v.sizes(), in.v.options().requires_grad(false));
  for (const Chunk& chunk : in.chunks) {
    const at::Tensor a = in.weights(chunk);
    mass.narrow(0, chunk.row, chunk.rows).narrow(1, 0, chunk.length).add_(a.sum({1, 2}, false, mass.scalar_type()), 1.0 / static_cast<double>(in.heads));
    if (in.v.defined()) in.queries(result.context, chunk).copy_(at::matmul(a, in.keys(in.v, chunk)));
  }
  result.mass = mass.to(in.q.scalar_type());
  return result;
}

struct GlobalAttention : torch::autograd::Function<GlobalAttention> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const std::optional<at::Tensor>& given_v,
                               const at::Tensor& lengths, std::int64_t heads) {
    const at::Tensor v = given_v.value_or(at::Tensor());
    ctx->save_for_backward({q, k, v, lengths});
    ctx->saved_data["heads"] = heads;
    AttentionResult result = forward_attention(inputs_of({q, k, v, lengths, heads}));
    return {result.mass, result.context.defined() ? result.context : at::empty({0}, q.options())};
  }

  // The weights are computed anew: kept, they would be the largest tensors of the model.
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const Inputs in = inputs_of({saved[0], saved[1], saved[2], saved[3], ctx->saved_data.at("heads").toInt()});
    const bool context = in.v.defined() && gradients[1].defined();
    const at::Tensor of_context = context ? gradients[1].contiguous() : at::Tensor();
    const at::ScalarType type = in.q.scalar_type();
    const auto sums = [&](const at::Tensor& x) { return at::zeros(x.sizes(), x.options().dtype(accumulation_type(type))); };
    at::Tensor dq = at::zeros_like(in.q), dk = sums(in.k), dv = in.v.defined() ? sums(in.v) : at::Tensor();
    for (const Chunk& chunk : in.chunks) {
      const at::Tensor a = in.weights(chunk);
      at::Tensor da;
      if (gradients[0].defined()) {
        const at::Tensor mass = gradients[0].narrow(0, chunk.row, chunk.rows).narrow(1, 0, chunk.length) * (1.0 / static_cast<double>(in.heads));
        da = mass.view({chunk.rows, 1, 1, chunk.length}).expand(a.sizes());
      }
      if (context) {
        const at::Tensor dy = in.queries(of_context, chunk), through = at::matmul(dy, in.keys(in.v, chunk).transpose(2, 3));
        da = da.defined() ? da + through : through;
        in.keys(dv, chunk).add_(at::matmul(a.transpose(2, 3), dy));
      }
      if (!da.defined()) continue;
      const at::Tensor ds = a * (da - (a * da).sum(3, true)) * in.scale();
      in.queries(dq, chunk).copy_(at::matmul(ds, in.keys(in.k, chunk)));
      in.keys(dk, chunk).add_(at::matmul(ds.transpose(2, 3), in.queries(in.q, chunk)));
    }
    return {dq, dk.to(type), dv.defined() ? dv.to(type) : dv, {}, {}};
  }
};

}  // namespace

AttentionResult global_attention(const AttentionInput& in) {
  const at::Tensor &q = in.q, &k = in.k, &v = in.v;
  check(q.dim() == 3 && q.sizes() == k.sizes() && q.size(2) % in.heads == 0 && in.lengths.size(0) == q.size(0),
        "global_attention: queries of {} dims, {} lengths", q.dim(), in.lengths.numel());
  const bool wanted = at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || (v.defined() && v.requires_grad()));
  if (!wanted) return forward_attention(inputs_of(in));
  const variable_list result = GlobalAttention::apply(q, k, v.defined() ? std::optional(v) : std::nullopt, in.lengths, in.heads);
  return {result[0], v.defined() ? result[1] : at::Tensor()};
}

at::Tensor attention_weights(const AttentionInput& given) {
  const Inputs in = inputs_of({given.q.detach(), given.k.detach(), {}, given.lengths, given.heads});
  at::Tensor all = at::zeros({in.q.size(0), in.heads, in.q.size(1), in.q.size(1)}, in.q.options());
  for (const Chunk& chunk : in.chunks)
    all.narrow(0, chunk.row, chunk.rows).narrow(2, chunk.query, chunk.queries).narrow(3, 0, chunk.length).copy_(in.weights(chunk));
  return all;
}

}  // namespace tributary::ops
