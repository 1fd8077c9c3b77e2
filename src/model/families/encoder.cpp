#include "model/families/encoder.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <optional>

#include "base/error.h"
#include "model/families/draft.h"

namespace tributary {
namespace {

constexpr double layer_norm_epsilon = 1e-12;
constexpr double initial_deviation = 0.02;

std::int64_t window_count(const Batch& batch) { return batch.notes.window_ids.defined() ? batch.notes.window_ids.size(0) : 0; }

// A frozen encoder stays in evaluation mode and records no graph.
struct Mode {
  Mode(const TextConfig& text, const BlockInput& in)
      : training(in.context.training && text.freeze == "none"), p(text.dropout), recording(text.freeze == "none" && at::GradMode::is_enabled()) {}
  [[nodiscard]] at::Tensor dropout(const at::Tensor& x, const BlockInput& in, std::uint64_t draw) const {
    return ops::dropout(x, p, in.draw_key(draw), training);
  }
  bool training;
  double p;
  c10::AutoGradMode recording;
};

LinearLayer add_bert_linear(BlockDraft& draft, const std::string& name, std::int64_t in, std::int64_t out) {
  LinearLayer layer;
  layer.weight = draft.parameter({name + ".weight", {out, in}, Init::normal, initial_deviation, true});
  layer.bias = draft.parameter({name + ".bias", {out}, Init::zeros, 0, false});
  layer.has_bias = true;
  return layer;
}

struct LayerNorm {
  std::size_t weight = 0, bias = 0;
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const BlockInput& in) const {
    return at::layer_norm(x, {x.size(-1)}, in.parameters[weight], in.parameters[bias], layer_norm_epsilon);
  }
};

LayerNorm add_layer_norm(BlockDraft& draft, const std::string& name, std::int64_t width) {
  LayerNorm norm;
  norm.weight = draft.parameter({name + ".weight", {width}, Init::ones, 0, false});
  norm.bias = draft.parameter({name + ".bias", {width}, Init::zeros, 0, false});
  return norm;
}

// [W, L] bool: real tokens.
at::Tensor token_mask(const NoteTensors& notes) {
  return at::arange(notes.window_ids.size(1), notes.window_lengths.options()).lt(notes.window_lengths.unsqueeze(1));
}

void add_embeddings(BlockList& list, const TextConfig& text, std::int64_t vocabulary_size, const std::string& gives) {
  BlockDraft draft("text.embeddings", text.freeze == "none");
  draft.spec.reads = {BatchField::notes};
  draft.spec.gives = {gives};
  const std::string prefix = "encoder.embeddings.";
  const std::size_t word = draft.parameter({prefix + "word_embeddings.weight", {vocabulary_size, text.width}, Init::normal, initial_deviation});
  const std::size_t position = draft.parameter({prefix + "position_embeddings.weight", {text.positions, text.width}, Init::normal, initial_deviation});
  const std::size_t type = draft.parameter({prefix + "token_type_embeddings.weight", {2, text.width}, Init::normal, initial_deviation});
  const LayerNorm norm = add_layer_norm(draft, prefix + "LayerNorm", text.width);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& notes = in.batch.notes;
    if (window_count(in.batch) == 0) return {at::zeros({0, text.width}, in.parameters[word].options().requires_grad(false))};
    const Mode mode(text, in);
    const std::int64_t longest = notes.window_ids.size(1);
    if (longest > text.positions) {
      fail(ErrorKind::configuration, "text.positions: expected at least the window length {}, found {}; lower data.window_tokens or raise text.positions",
           longest, text.positions);
    }
    const at::Tensor tokens = token_mask(notes).view({-1}).nonzero().squeeze(1);  // flat positions of real tokens
    at::Tensor sum = at::embedding(in.parameters[word], notes.window_ids.reshape({-1}).index_select(0, tokens));
    sum = sum + in.parameters[type].select(0, 0) + at::embedding(in.parameters[position], tokens.remainder(longest));
    return {mode.dropout(norm(sum, in), in, 0)};
  });
}

struct SelfAttention {
  LinearLayer query, key, value;
  std::int64_t heads;

  // hidden [tokens, d] -> the heads' contexts side by side, [tokens, d]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& hidden, const BlockInput& in, const Mode& mode) const {
    const at::Tensor mask = token_mask(in.batch.notes);  // [W, L]
    const std::int64_t windows = mask.size(0), length = mask.size(1), width = hidden.size(1), head_width = width / heads;
    const at::Tensor tokens = mask.view({-1}).nonzero().squeeze(1);
    const bool padded = tokens.size(0) != windows * length;
    const auto spread = [&](const at::Tensor& x) {  // [tokens, d] -> [W, heads, L, head width], 0 in padding
      const at::Tensor all = padded ? at::zeros({windows * length, width}, x.options()).index_copy(0, tokens, x) : x;
      return all.view({windows, length, heads, head_width}).transpose(1, 2);
    };
    const at::Tensor q = spread(query(hidden, in) * (1.0 / std::sqrt(static_cast<double>(head_width))));
    const at::Tensor scores = at::matmul(q, spread(key(hidden, in)).transpose(2, 3));
    const at::Tensor weights = mode.dropout(ops::masked_softmax(scores, mask.view({windows, 1, 1, length})), in, 0);
    const at::Tensor context = at::matmul(weights, spread(value(hidden, in))).transpose(1, 2).reshape({windows * length, width});
    return padded ? context.index_select(0, tokens) : context;
  }
};

void add_layer(BlockList& list, const TextConfig& text, std::int64_t number, const std::string& takes, const std::string& gives) {
  BlockDraft draft("text.layer." + std::to_string(number), text.freeze == "none");
  draft.spec.reads = {BatchField::notes};
  draft.spec.gives = {gives};
  draft.take(takes);
  const std::string prefix = "encoder.encoder.layer." + std::to_string(number) + ".";
  SelfAttention attention;
  attention.heads = text.heads;
  attention.query = add_bert_linear(draft, prefix + "attention.self.query", text.width, text.width);
  attention.key = add_bert_linear(draft, prefix + "attention.self.key", text.width, text.width);
  attention.value = add_bert_linear(draft, prefix + "attention.self.value", text.width, text.width);
  const LinearLayer attention_output = add_bert_linear(draft, prefix + "attention.output.dense", text.width, text.width);
  const LayerNorm attention_norm = add_layer_norm(draft, prefix + "attention.output.LayerNorm", text.width);
  const LinearLayer intermediate = add_bert_linear(draft, prefix + "intermediate.dense", text.width, text.intermediate);
  const LinearLayer output = add_bert_linear(draft, prefix + "output.dense", text.intermediate, text.width);
  const LayerNorm output_norm = add_layer_norm(draft, prefix + "output.LayerNorm", text.width);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& hidden = in.taken[0];
    if (window_count(in.batch) == 0) return {hidden};
    const Mode mode(text, in);
    const at::Tensor attended = mode.dropout(attention_output(attention(hidden, in, mode), in), in, 1);
    const at::Tensor middle = attention_norm(attended + hidden, in);
    const at::Tensor expanded = at::gelu(intermediate(middle, in), "none");
    return {output_norm(mode.dropout(output(expanded, in), in, 2) + middle, in)};
  });
}

}  // namespace

std::string add_encoder(BlockList& list, const TextConfig& text, std::int64_t vocabulary_size) {
  std::string hidden = "text.hidden.0";
  add_embeddings(list, text, vocabulary_size, hidden);
  for (std::int64_t layer = 0; layer < text.layers; ++layer) {
    std::string next = "text.hidden." + std::to_string(layer + 1);
    add_layer(list, text, layer, hidden, next);
    hidden = std::move(next);
  }
  return hidden;
}

at::Tensor packed_rows(const at::Tensor& window_lengths, std::int64_t window_tokens, const at::Tensor& positions) {
  const at::Tensor first = window_lengths.cumsum(0) - window_lengths;  // [W] row of each window's first token
  return first.index_select(0, positions.div(window_tokens, "floor")) + positions.remainder(window_tokens);
}

}  // namespace tributary
