#include "model/families/text_mlm.h"

#include <algorithm>

#include "base/error.h"
#include "model/families/draft.h"
#include "model/families/encoder.h"
#include "model/families/record_heads.h"
#include "model/layers/device.h"

namespace tributary {
namespace {

constexpr const char* task_name = "masked_tokens";

void require_text_fit(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  check_settings(settings);
  const HeadsConfig& heads = settings.heads;
  if (!heads.tasks.empty() || !heads.weight.empty() || !heads.loss.empty() || !heads.positive_weight.empty() || !heads.class_weight.empty())
    fail(ErrorKind::configuration, "model.family = \"text_mlm\" has one task of its own, {}; leave tasks, weights and losses out of [heads]", task_name);
  if (!schema.notes) fail(ErrorKind::configuration, "model.family = \"text_mlm\": expected a data set with notes, found none");
  if (vocabulary_size < 1)
    fail(ErrorKind::configuration, "the data set has notes but a vocabulary of {} tokens; run `tributary shards retokenize`", vocabulary_size);
}

// Only what has to be told is transformed: [M, d].
std::string add_transform(BlockList& list, const TextConfig& text, const std::string& hidden) {
  BlockDraft draft("mlm.transform");
  draft.spec.reads = {BatchField::notes};
  draft.spec.gives = {"mlm.transformed"};
  draft.spec.shape_reads = {BatchField::notes};
  draft.spec.shapes = [width = text.width](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    const std::int64_t masked = batch.notes.masked_position.size(0);
    return {{{masked, width}, masked > 0}};
  };
  draft.take(hidden);
  const LinearLayer dense = add_bert_linear(draft, "cls.predictions.transform.dense", text.width, text.width);
  const LayerNormLayer norm = add_layer_norm(draft, "cls.predictions.transform.LayerNorm", text.width, text.layer_norm_epsilon);
  add_block(list, std::move(draft), [=, width = text.width](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& notes = in.host.notes;
    const at::Tensor& states = in.taken[0];
    if (notes.masked_position.size(0) == 0) return {at::zeros({0, width}, states.options().requires_grad(false))};
    const at::Tensor rows = packed_rows(notes.window_lengths, notes.window_ids.size(1), notes.masked_position);
    return {norm(ops::gelu(dense(states.index_select(0, ops::moved_to(states, rows)), in)), in)};
  });
  return "mlm.transformed";
}

void add_decoder(BlockList& list, const TextConfig& text, std::int64_t vocabulary_size, const Task& task, const TaskHead& head,
                 const std::string& transformed) {
  BlockDraft draft("mlm.decoder", frozen_layers(text) < 0);
  draft.spec.reads = {BatchField::notes, BatchField::labels};
  draft.spec.gives = {loss_name, loss_sums_name, probability_name(task)};
  draft.spec.shape_reads = {BatchField::notes};
  draft.spec.shapes = [width = task.output_width()](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    using Type = TensorShape::Type;
    const std::int64_t masked = batch.notes.masked_position.size(0);
    return {{{}, masked > 0, Type::single}, {{1}, false, Type::wide}, {{masked, width}, false, Type::single}};
  };
  draft.take(transformed);
  LinearLayer decoder;
  decoder.weight = draft.parameter(word_embeddings(text, vocabulary_size));
  draft.trainable = true;
  decoder.bias = draft.parameter({"cls.predictions.bias", {vocabulary_size}, Init::zeros, 0, false});
  decoder.has_bias = true;
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& x = in.taken[0];
    const at::TensorOptions plain = x.options().dtype(ops::accumulation_type(x.scalar_type())).requires_grad(false);
    if (x.size(0) == 0) return {at::zeros({}, plain), at::zeros({1}, plain.dtype(at::kDouble)), at::zeros({0, task.output_width()}, plain)};
    const at::Tensor log_p = at::log_softmax(ops::at_least_single(decoder(x, in)), 1);  // [M, vocabulary]
    const at::Tensor own = log_p.gather(1, in.batch.labels[head.task].value.to(at::kLong)).squeeze(1);
    const at::Tensor sum = own.sum().neg(), told = own.detach(), best = log_p.detach().amax(1);
    return {sum * loss_factor(head, in.context), sum.detach().to(at::kDouble).view({1}), at::stack({told.neg(), told.ge(best).to(told.scalar_type())}, 1)};
  });
}

}  // namespace

Schema with_masked_tokens(Schema stored) {
  const auto taken = std::find_if(stored.tasks.begin(), stored.tasks.end(), [](const Task& task) { return task.name == task_name; });
  if (taken != stored.tasks.end())
    fail(ErrorKind::configuration, "model.family = \"text_mlm\": the data set has a task '{}', the name of the family's own; build it with another name",
         task_name);
  stored.tasks.push_back({task_name, TaskKind::masked_token, {}});
  return stored;
}

BlockList text_mlm(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  require_text_fit(settings, schema, vocabulary_size);
  const Schema own = with_masked_tokens(schema);
  TaskHead head;
  head.task = schema.tasks.size();
  BlockList list;
  const std::string hidden = add_encoder(list, settings.text, vocabulary_size);
  const std::string transformed = add_transform(list, settings.text, hidden);
  add_decoder(list, settings.text, vocabulary_size, own.tasks[head.task], head, transformed);
  list.tasks = {head.task};
  list.outputs = {loss_sums_name, probability_name(own.tasks[head.task])};
  return list;
}

}  // namespace tributary
