#include <gtest/gtest.h>

#include "support/random_batch.h"

namespace tributary {
namespace {

using namespace testing_support;

// Every tensor of a batch, in one order.
std::vector<at::Tensor> tensors_of(const Batch& batch) {
  std::vector<at::Tensor> all{batch.steps, batch.static_value, batch.static_observed, batch.image, batch.presence};
  for (const SeriesTensors& series : batch.series) all.insert(all.end(), {series.value, series.observed, series.delta});
  const NoteTensors& notes = batch.notes;
  all.insert(all.end(), {notes.window_ids, notes.window_lengths, notes.token_position, notes.token_sentence, notes.sentence_paragraph, notes.paragraph_document,
                         notes.document_record, notes.document_hour, notes.record_tokens, notes.masked_position, notes.masked_token, notes.hidden});
  const MentionTensors& mentions = batch.mentions;
  all.insert(all.end(), {mentions.token, mentions.end, mentions.record, mentions.concept_number, mentions.distinct, mentions.concept_record});
  for (const LabelTensors& labels : batch.labels) all.insert(all.end(), {labels.value, labels.valid});
  for (const PairTensors& pairs : batch.pairs) all.insert(all.end(), {pairs.head, pairs.tail, pairs.record, pairs.label, pairs.known, pairs.candidate});
  return all;
}

Batch full_leaf() {
  Schema schema = random_schema(6);
  schema.concept_types = {"drug", "disease"};
  schema.tasks.push_back({"relation", TaskKind::relation, {"none", "causes", "treats"}, {{0, 1}, {1, 0}}});
  Batch batch = to_type(random_leaf(schema, mixed_records(6), 0), at::kFloat);
  batch.image = at::full({batch.rows(), 1, 2, 2}, 0.3);
  batch.notes.masked_position = batch.notes.token_position;
  batch.notes.masked_token = batch.notes.token_position;
  batch.notes.hidden = at::full({3, 4}, 0.3);
  batch.mentions.end = batch.mentions.token + 1;
  batch.pairs.back().candidate = batch.pairs.back().head;
  return batch;
}

TEST(Batch, on_the_host_in_its_own_type_is_shared_and_nothing_is_copied) {
  const Batch host = full_leaf();
  const std::vector<at::Tensor> before = tensors_of(host), after = tensors_of(on_device(host, at::kCPU, at::kFloat));
  ASSERT_EQ(before.size(), after.size());
  std::size_t compared = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_EQ(before[i].defined(), after[i].defined()) << i;
    if (!before[i].defined()) continue;
    EXPECT_TRUE(before[i].is_same(after[i])) << i;
    ++compared;
  }
  EXPECT_GE(compared, 40U);
}

TEST(Batch, in_half_precision_has_the_inputs_in_it_labels_in_float32_and_whole_numbers_as_they_are) {
  const Batch host = full_leaf(), half = on_device(host, at::kCPU, at::kHalf);
  for (const at::Tensor& input :
       {half.series[0].value, half.series[1].observed, half.series[1].delta, half.static_value, half.static_observed, half.image, half.notes.hidden})
    EXPECT_EQ(input.scalar_type(), at::kHalf);
  ASSERT_EQ(half.labels.size(), 5U);
  for (std::size_t t = 0; t < 5; ++t) {
    EXPECT_TRUE(half.labels[t].value.is_same(host.labels[t].value));
    EXPECT_EQ(half.labels[t].value.scalar_type(), at::kFloat);
  }
  EXPECT_TRUE(half.notes.window_ids.is_same(host.notes.window_ids));
  EXPECT_TRUE(half.presence.is_same(host.presence));
  EXPECT_TRUE(half.series[0].value.to(at::kFloat).allclose(host.series[0].value, 1e-3, 1e-3));
  EXPECT_EQ(half.places, host.places);
  EXPECT_EQ(on_device(to_type(host, at::kDouble), at::kCPU, at::kDouble).labels[0].value.scalar_type(), at::kFloat);
}

// A device without memory: what moves there keeps its shape and loses its values, and no tensor is forgotten.
TEST(Batch, moves_every_tensor_to_the_device) {
  const Batch host = full_leaf();
  const std::vector<at::Tensor> before = tensors_of(host), after = tensors_of(on_device(host, at::kMeta, at::kBFloat16));
  std::size_t compared = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!before[i].defined()) continue;
    EXPECT_TRUE(after[i].is_meta()) << i;
    EXPECT_EQ(after[i].sizes(), before[i].sizes()) << i;
    ++compared;
  }
  EXPECT_GE(compared, 40U);
}

}  // namespace
}  // namespace tributary
