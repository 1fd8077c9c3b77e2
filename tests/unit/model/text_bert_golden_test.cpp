// text_bert against a second writing of it: tests/golden/text_bert.py marks the pairs of the same records and runs them one by one in plain PyTorch.
#include <gtest/gtest.h>

#include <functional>

#include "batches/pair_sequences.h"
#include "support/lm_hhda_golden.h"

namespace tributary {
namespace {

using testing_support::read_golden;

constexpr std::int64_t bert_vocabulary = 20, window_tokens = 14;
constexpr PairMarkers markers{16, 17, 18, 19};
const SpecialTokens special{0, 3, 1, 2, 4};

Schema golden_pair_schema() {
  Schema schema;
  schema.notes = true;
  schema.concept_types = {"drug", "disease"};
  schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}, {"relation", TaskKind::relation, {"none", "a", "b"}, {{0, 1}, {1, 0}}}};
  return schema;
}

struct BertVariant {
  const char* name;
  std::function<void(ModelSettings&)> change;
};

const std::vector<BertVariant>& bert_variants() {
  static const std::vector<BertVariant> all = {
      {"default", [](ModelSettings&) {}},
      {"frozen", [](ModelSettings& s) { s.text.freeze = "all"; }},
      {"focal",
       [](ModelSettings& s) {
         s.heads.loss = {{"relation", "focal"}};
       }},
      {"generalised",
       [](ModelSettings& s) {
         s.heads.loss = {{"relation", "generalised_cross_entropy"}};
       }},
      {"weights",
       [](ModelSettings& s) {
         s.heads.weight = {{"relation", 0.5}};
         s.heads.class_weight = {{"relation", "0.5, 2, 1.25"}};
       }},
  };
  return all;
}

// The records of the script, one note each, through the function that makes a collator's sequences.
Batch marked_batch() {
  const std::map<std::string, at::Tensor> stored = read_golden("text_bert.safetensors");
  const auto in = [&](const char* name) { return stored.at(std::string("inputs/") + name); };
  auto block = std::make_shared<RecordBlock>();
  block->notes.note_offsets = block->notes.token_offsets = {0};
  for (std::int64_t i = 0; i < in("text").size(0); ++i) block->notes.token_ids.push_back(static_cast<std::int32_t>(in("text")[i].item<std::int64_t>()));
  Batch batch;
  std::vector<RowRef> rows;
  std::vector<KeptNote> kept;
  for (std::int64_t b = 0; b < in("text_lengths").size(0); ++b) {
    const auto tokens = in("text_lengths")[b].item<std::int64_t>();
    block->notes.note_offsets.push_back(b + 1);
    block->notes.token_offsets.push_back(block->notes.token_offsets.back() + tokens);
    batch.places.push_back({0, b});
    rows.push_back({{0, b}, block, b});
    if (tokens > 0) kept.push_back({b, 0, 0, tokens});
  }
  batch.mentions.token = in("mention.token");
  batch.mentions.end = in("mention.end");
  batch.mentions.record = in("mention.record");
  batch.mentions.concept_number = in("mention.concept");
  batch.mentions.concept_record = in("concept_record");
  const at::Tensor label = in("pair.label");
  batch.labels = {{at::zeros({5, 1}, at::kDouble), at::zeros({5}, at::kBool)}, {label.to(at::kDouble).unsqueeze(1), label.ge(0)}};
  batch.pairs = {{}, {in("pair.head"), in("pair.tail"), in("pair.record"), label, label.ge(0)}};
  batch.notes = make_pair_sequences(rows, kept, batch.mentions, batch.pairs[1], markers, window_tokens, special);
  return batch;
}

TEST(TextBertSequences, are_those_of_the_script) {
  const auto stored = read_golden("text_bert.safetensors");
  const Batch batch = marked_batch();
  EXPECT_TRUE(at::equal(batch.notes.window_lengths, stored.at("inputs/window_lengths")));
  EXPECT_TRUE(at::equal(batch.notes.window_ids, stored.at("inputs/window_ids")));
  EXPECT_GT(batch.notes.windows(), 15);
}

class TextBertGolden : public testing::TestWithParam<BertVariant> {};

TEST_P(TextBertGolden, outputs_loss_and_every_gradient_equal_plain_pytorch) {
  ModelSettings settings = testing_support::small_settings();
  settings.model.family = "text_bert";
  settings.text.positions = 16;
  GetParam().change(settings);
  const testing_support::TestModel model = testing_support::golden_model(settings, golden_pair_schema(), bert_vocabulary);
  LeafContext context;
  context.label_counts = {0, 9};
  const testing_support::ModelResult result = run_model(model, marked_batch(), context);
  const auto compared = testing_support::expect_variant(GetParam().name, read_golden("text_bert.safetensors"), model, result);
  EXPECT_EQ(compared.gradients, testing_support::trainable_entries(model));
  EXPECT_EQ(compared.outputs, 3U);
}

INSTANTIATE_TEST_SUITE_P(of, TextBertGolden, testing::ValuesIn(bert_variants()), [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace tributary
