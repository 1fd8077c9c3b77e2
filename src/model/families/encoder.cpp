#include "model/families/encoder.h"

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "model/families/draft.h"
#include "model/layers/device.h"

namespace tributary {
namespace {

std::int64_t window_count(const Batch& batch) { return batch.notes.window_ids.defined() ? batch.notes.window_ids.size(0) : 0; }

// The rows of the hidden states, one a token; of a cache's marked pairs one a sequence.
void give_hidden(BlockSpec& spec, const std::string& name, std::int64_t width) {
  spec.gives = {name};
  spec.shape_reads = {BatchField::notes};
  spec.shapes = [width](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    const NoteTensors& notes = batch.notes;
    if (notes.hidden.defined()) return {{{notes.hidden.size(0), width}, false}};
    const bool some = window_count(batch) > 0;
    return {{{some ? notes.window_lengths.sum().item<std::int64_t>() : 0, width}, some}};
  };
}

// A frozen block stays in evaluation mode and records no graph.
struct Mode {
  Mode(bool trains, double dropout_p, const BlockInput& in)
      : training(in.context.training && trains), p(dropout_p), recording(trains && at::GradMode::is_enabled()) {}
  [[nodiscard]] at::Tensor dropout(const at::Tensor& x, const BlockInput& in, std::uint64_t draw) const {
    return ops::dropout(x, p, in.draw_key(draw), training);
  }
  bool training;
  double p;
  c10::AutoGradMode recording;
};

// [W, L] bool: real tokens.
at::Tensor token_mask(const NoteTensors& notes) {
  return at::arange(notes.window_ids.size(1), notes.window_lengths.options()).lt(notes.window_lengths.unsqueeze(1));
}

void add_embeddings(BlockList& list, const TextConfig& text, std::int64_t vocabulary_size, const std::string& gives) {
  const bool trains = frozen_layers(text) < 0;
  BlockDraft draft("text.embeddings", trains);
  draft.spec.reads = {BatchField::notes};
  give_hidden(draft.spec, gives, text.width);
  const std::string prefix = "encoder.embeddings.";
  const std::size_t word = draft.parameter(word_embeddings(text, vocabulary_size));
  const std::size_t position = draft.parameter({prefix + "position_embeddings.weight", {text.positions, text.width}, Init::normal, bert_deviation});
  const std::size_t type = draft.parameter({prefix + "token_type_embeddings.weight", {text.type_vocabulary, text.width}, Init::normal, bert_deviation});
  const LayerNormLayer norm = add_layer_norm(draft, prefix + "LayerNorm", text.width, text.layer_norm_epsilon);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& notes = in.batch.notes;
    if (notes.hidden.defined()) return {notes.hidden};  // read from a cache; the layers hand it on
    if (window_count(in.batch) == 0) return {at::zeros({0, text.width}, in.parameters[word].options().requires_grad(false))};
    const Mode mode(trains, text.dropout, in);
    const std::int64_t longest = notes.window_ids.size(1);
    if (longest > text.positions) {
      fail(ErrorKind::configuration, "text.positions: expected at least the window length {}, found {}; lower data.window_tokens or raise text.positions",
           longest, text.positions);
    }
    const at::Tensor tokens = ops::moved_to(notes.window_ids, token_mask(in.host.notes).view({-1}).nonzero().squeeze(1));  // flat positions of real tokens
    at::Tensor sum = ops::embedding(in.parameters[word], notes.window_ids.reshape({-1}).index_select(0, tokens));
    sum = sum + in.parameters[type].select(0, 0) + at::embedding(in.parameters[position], tokens.remainder(longest));
    return {mode.dropout(norm(sum, in), in, 0)};
  });
}

struct SelfAttention {
  LinearLayer query, key, value;
  std::int64_t heads;

  // hidden [tokens, d] -> the heads' contexts side by side, [tokens, d]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& hidden, const BlockInput& in, const Mode& mode) const {
    return ops::packed_attention(query(hidden, in), key(hidden, in), value(hidden, in), in.host.notes.window_lengths, heads, mode.training ? mode.p : 0,
                                 in.draw_key(0));
  }
};

void add_layer(BlockList& list, const TextConfig& text, std::int64_t number, const std::string& takes, const std::string& gives) {
  const bool trains = frozen_layers(text) <= number;
  BlockDraft draft("text.layer." + std::to_string(number), trains);
  draft.spec.reads = {BatchField::notes};
  give_hidden(draft.spec, gives, text.width);
  draft.take(takes);
  const std::string prefix = "encoder.encoder.layer." + std::to_string(number) + ".";
  SelfAttention attention;
  attention.heads = text.heads;
  attention.query = add_bert_linear(draft, prefix + "attention.self.query", text.width, text.width);
  attention.key = add_bert_linear(draft, prefix + "attention.self.key", text.width, text.width);
  attention.value = add_bert_linear(draft, prefix + "attention.self.value", text.width, text.width);
  const LinearLayer attention_output = add_bert_linear(draft, prefix + "attention.output.dense", text.width, text.width);
  const LayerNormLayer attention_norm = add_layer_norm(draft, prefix + "attention.output.LayerNorm", text.width, text.layer_norm_epsilon);
  const LinearLayer intermediate = add_bert_linear(draft, prefix + "intermediate.dense", text.width, text.intermediate);
  const LinearLayer output = add_bert_linear(draft, prefix + "output.dense", text.intermediate, text.width);
  const LayerNormLayer output_norm = add_layer_norm(draft, prefix + "output.LayerNorm", text.width, text.layer_norm_epsilon);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& hidden = in.taken[0];
    if (window_count(in.batch) == 0 || in.batch.notes.hidden.defined()) return {hidden};
    const Mode mode(trains, text.dropout, in);
    const at::Tensor attended = mode.dropout(attention_output(attention(hidden, in, mode), in), in, 1);
    const at::Tensor middle = attention_norm(attended + hidden, in);
    const at::Tensor expanded = ops::gelu(intermediate(middle, in));
    return {output_norm(mode.dropout(output(expanded, in), in, 2) + middle, in)};
  });
}

}  // namespace

ParameterSpec word_embeddings(const TextConfig& text, std::int64_t vocabulary_size) {
  return {"encoder.embeddings.word_embeddings.weight", {vocabulary_size, text.width}, Init::normal, bert_deviation};
}

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

at::Tensor first_rows(const at::Tensor& window_lengths) { return window_lengths.cumsum(0) - window_lengths; }

at::Tensor packed_rows(const at::Tensor& window_lengths, std::int64_t window_tokens, const at::Tensor& positions) {
  return first_rows(window_lengths).index_select(0, positions.div(window_tokens, "floor")) + positions.remainder(window_tokens);
}

}  // namespace tributary
