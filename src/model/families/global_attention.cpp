#include "model/families/global_attention.h"

#include <cmath>

namespace tributary {
namespace {

struct Heads {
  std::int64_t count = 0, width = 0;

  // [B, T, heads x width] -> [B, heads, T, width]
  [[nodiscard]] at::Tensor split(const at::Tensor& x) const { return x.view({x.size(0), x.size(1), count, width}).transpose(1, 2); }
  // [B, heads, T, width] -> [B, T, heads x width]
  [[nodiscard]] at::Tensor join(const at::Tensor& x) const { return x.transpose(1, 2).reshape({x.size(0), x.size(2), count * width}); }
};

// A [B, heads, T queries, T keys]: softmax over the valid keys; rows of queries that are not valid are 0.
at::Tensor attention_weights(const Heads& heads, const at::Tensor& q, const at::Tensor& k, const at::Tensor& valid) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.width));
  const at::Tensor scores = at::matmul(heads.split(q * scale), heads.split(k).transpose(2, 3));
  return ops::masked_softmax(scores, valid.unsqueeze(1).unsqueeze(3).logical_and(valid.unsqueeze(1).unsqueeze(2)));
}

}  // namespace

FusedNames add_global_attention(BlockList& list, const ModelSettings& settings, const TimelineLayout& layout, const FusedNames& fused) {
  const bool gated = settings.attention.kind != "context", with_context = settings.attention.kind != "gate";
  const Heads heads{settings.attention.heads, settings.attention.head_width};
  const std::int64_t inner = heads.count * heads.width;
  BlockDraft draft("attention");
  const FusedInput input = take_fused(draft, fused);
  draft.spec.gives = {with_context ? "attention.positions" : "attention.gate", attention_weights_name};
  const LinearLayer q = add_linear(draft, "attention.q", fused.width, inner, Bias::no);
  const LinearLayer k = add_linear(draft, "attention.k", fused.width, inner, Bias::no);
  LinearLayer v, o;
  if (with_context) {
    v = add_linear(draft, "attention.v", fused.width, inner, Bias::no);
    o = add_linear(draft, "attention.o", inner, fused.width, Bias::no);
  }
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const FusedSequence sequence = input(in);
    const auto project = [&](const LinearLayer& layer) { return sequence.project(in.parameters[layer.weight], in.weights); };
    const at::Tensor weights = attention_weights(heads, project(q), project(k), valid_hours(in.batch, layout));
    at::Tensor gate;  // a [B, T]; its mean over the valid positions is 1
    if (gated) gate = weights.sum({1, 2}) * (1.0 / static_cast<double>(heads.count));
    if (!with_context) return {gate, weights.detach()};
    const at::Tensor context = o(heads.join(at::matmul(weights, heads.split(project(v)))), in);
    at::Tensor elements = sequence.dense();
    if (gated) elements = elements * gate.unsqueeze(2);
    return {elements + context, weights.detach()};
  });
  if (with_context) return {"attention.positions", "", "", fused.width};
  return {fused.positions, fused.record, "attention.gate", fused.width};
}

}  // namespace tributary
