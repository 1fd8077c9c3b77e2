#include "model/families/global_attention.h"

namespace tributary {

FusedNames add_global_attention(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const FusedNames& fused) {
  const bool gated = settings.attention.kind != "context", with_context = settings.attention.kind != "gate";
  const std::int64_t heads = settings.attention.heads, inner = heads * settings.attention.head_width;
  BlockDraft draft("attention");
  draft.spec.reads = fields_of_positions(layout);
  const FusedInput input = take_fused(draft, fused);
  give_positions(draft.spec, with_context ? "attention.positions" : "attention.gate", layout, with_context ? fused.width : 0);
  draft.spec.gives.emplace_back(attention_weights_name);
  const bool shown = layout.mode == SequenceMode::timeline;
  draft.spec.shapes = [plain = std::move(draft.spec.shapes), shown, heads](const Batch& batch, const LeafContext& context) {
    std::vector<TensorShape> shapes = plain(batch, context);
    const std::int64_t records = shapes[0].sizes[0], places = shapes[0].sizes[1];
    shapes.push_back({shown && !context.training ? std::vector<std::int64_t>{records, heads, places, places} : std::vector<std::int64_t>{0}, false});
    return shapes;
  };
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
    const at::Tensor lengths = valid_lengths(in.host, layout);
    const ops::AttentionInput given{project(q), project(k), with_context ? project(v) : at::Tensor(), lengths, heads};
    const ops::AttentionResult attended = ops::global_attention(given);
    const at::Tensor weights = shown && !in.context.training ? ops::attention_weights(given) : at::empty({0}, given.q.options().requires_grad(false));
    const at::Tensor& gate = attended.mass;  // a [B, T]; its mean over the valid positions is 1
    if (!with_context) return {gate, weights};
    const at::Tensor context = o(attended.context, in);
    at::Tensor elements = sequence.dense();
    if (gated) elements = elements * gate.unsqueeze(2);
    return {elements + context, weights};
  });
  if (with_context) return {"attention.positions", "", "", fused.width};
  return {fused.positions, fused.record, "attention.gate", fused.width};
}

}  // namespace tributary
