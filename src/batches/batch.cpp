#include "batches/batch.h"

namespace tributary {
namespace {

// Calls work(tensor) for each of the model's floating inputs.
template <class Work>
void for_each_input(Batch& batch, const Work& work) {
  for (SeriesTensors& series : batch.series)
    for (at::Tensor* tensor : {&series.value, &series.observed, &series.delta}) work(*tensor);
  for (at::Tensor* tensor : {&batch.static_value, &batch.static_observed, &batch.image}) work(*tensor);
}

// Calls work(tensor) for each tensor of whole numbers or bits.
template <class Work>
void for_each_index(Batch& batch, const Work& work) {
  for (at::Tensor* tensor : {&batch.steps, &batch.presence}) work(*tensor);
  NoteTensors& notes = batch.notes;
  for (at::Tensor* tensor :
       {&notes.window_ids, &notes.window_lengths, &notes.token_position, &notes.token_sentence, &notes.sentence_paragraph, &notes.paragraph_document,
        &notes.document_record, &notes.document_hour, &notes.record_tokens, &notes.masked_position, &notes.masked_token})
    work(*tensor);
  MentionTensors& mentions = batch.mentions;
  for (at::Tensor* tensor : {&mentions.token, &mentions.end, &mentions.record, &mentions.concept_number, &mentions.distinct, &mentions.concept_record})
    work(*tensor);
  for (PairTensors& pairs : batch.pairs)
    for (at::Tensor* tensor : {&pairs.head, &pairs.tail, &pairs.record, &pairs.label, &pairs.known, &pairs.candidate}) work(*tensor);
  for (LabelTensors& labels : batch.labels) work(labels.valid);
}

}  // namespace

Batch to_type(const Batch& batch, at::ScalarType type) {
  Batch out = batch;
  const auto convert = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(type);
  };
  for_each_input(out, convert);
  for (LabelTensors& labels : out.labels) convert(labels.value);
  return out;
}

Batch on_device(const Batch& host, at::Device device, at::ScalarType type) {
  Batch out = host;
  const auto move_as = [&](at::Tensor& tensor, at::ScalarType as) {
    if (tensor.defined()) tensor = tensor.to(device, as);
  };
  const auto move_input = [&](at::Tensor& tensor) { move_as(tensor, type); };
  for_each_input(out, move_input);
  move_input(out.notes.hidden);
  for_each_index(out, [&](at::Tensor& tensor) {
    if (tensor.defined()) move_as(tensor, tensor.scalar_type());
  });
  for (LabelTensors& labels : out.labels) move_as(labels.value, at::kFloat);
  return out;
}

}  // namespace tributary
