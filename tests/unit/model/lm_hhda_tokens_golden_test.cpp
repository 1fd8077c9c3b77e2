// Tokens mode against a second writing of it: tests/golden/lm_hhda_tokens.py computes the same batch record by record in plain PyTorch.
#include <gtest/gtest.h>

#include <functional>

#include "support/lm_hhda_golden.h"

namespace tributary {
namespace {

using testing_support::read_golden;
using Tensors = std::map<std::string, at::Tensor>;

constexpr std::int64_t tokens_vocabulary = 20;

// Concepts of two types; record tasks before and behind the relation task.
Schema tokens_schema(bool entities) {
  Schema schema;
  schema.steps = 7;
  schema.notes = true;
  schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}, {"diagnosis", TaskKind::multiclass, {"a", "b", "c"}}};
  if (!entities) return schema;
  schema.concept_types = {"drug", "disease"};
  schema.tasks.insert(schema.tasks.begin() + 1, {"relation", TaskKind::relation, {"none", "a", "b"}, {{0, 1}, {1, 0}}});
  return schema;
}

struct TokensVariant {
  const char* name;
  std::function<void(ModelSettings&)> change;
  bool entities = true;
};

const std::vector<TokensVariant>& tokens_variants() {
  static const std::vector<TokensVariant> all = {
      {"default", [](ModelSettings&) {}},
      {"conv1d", [](ModelSettings& s) { s.lstm.transform = "conv1d"; }},
      {"self_attention", [](ModelSettings& s) { s.lstm.transform = "self_attention"; }},
      {"no_temporal", [](ModelSettings& s) { s.lstm.temporal_attention = false; }},
      {"add", [](ModelSettings& s) { s.cnn.fusion = "add"; }},
      {"context", [](ModelSettings& s) { s.attention.kind = "context"; }},
      {"gate_context", [](ModelSettings& s) { s.attention.kind = "gate+context"; }},
      {"plain_lstm", [](ModelSettings& s) { s.use.hr_lstm = false; }},
      {"plain_relu", [](ModelSettings& s) { s.use.dynamic_relu = false; }},
      {"no_global", [](ModelSettings& s) { s.use.global_attention = false; }},
      {"no_cnn", [](ModelSettings& s) { s.use.ms_cnn = false; }},
      {"frozen", [](ModelSettings& s) { s.text.freeze = "all"; }},
      {"relation_alone", [](ModelSettings& s) { s.heads.tasks = {"relation"}; }},
      {"linear_relation", [](ModelSettings& s) { s.heads.relation_layers = {}; }},
      {"records_alone",
       [](ModelSettings& s) {
         s.heads.tasks = {"mortality", "diagnosis"};
       }},
      {"no_entities", [](ModelSettings& s) { s.heads.weight = {}; }, false},
      {"focal",
       [](ModelSettings& s) {
         s.heads.loss = {{"relation", "focal"}};
       }},
      {"generalised",
       [](ModelSettings& s) {
         s.heads.loss = {{"relation", "generalised_cross_entropy"}};
       }},
      {"class_weight",
       [](ModelSettings& s) {
         s.heads.class_weight = {{"relation", "0.5, 2, 1.25"}};
       }},
  };
  return all;
}

ModelSettings golden_tokens_settings(const TokensVariant& variant) {
  ModelSettings settings = testing_support::small_settings();
  settings.model.mode = "tokens";
  settings.heads.relation_layers = {5, 4};
  settings.heads.weight = {{"relation", 0.5}};
  variant.change(settings);
  return settings;
}

Batch tokens_batch(const Schema& schema) {
  const Tensors inputs = read_golden("lm_hhda_inputs.safetensors"), own = read_golden("lm_hhda_tokens.safetensors");
  const auto in = [&](const char* name) { return own.at(std::string("inputs/") + name); };
  Batch batch;
  batch.steps = inputs.at("steps");
  batch.presence = inputs.at("presence");
  batch.places.resize(static_cast<std::size_t>(batch.steps.size(0)));
  batch.notes = testing_support::golden_notes(inputs);
  batch.notes.record_tokens = in("record_tokens");
  if (schema.has_entities()) {
    batch.mentions.token = in("mention.token");
    batch.mentions.record = in("mention.record");
    batch.mentions.concept_number = in("mention.concept");
    batch.mentions.distinct = in("mention.distinct");
    batch.mentions.concept_record = in("concept_record");
  }
  for (const Task& task : schema.tasks) {
    const bool relation = task.kind == TaskKind::relation;
    const auto label = [&](const char* part) { return inputs.at("label." + task.name + part); };
    const at::Tensor classes = in("pair.label").to(at::kDouble).unsqueeze(1);
    batch.labels.push_back(relation ? LabelTensors{classes, in("pair.known")} : LabelTensors{label(".value"), label(".valid")});
    batch.pairs.push_back(relation ? PairTensors{in("pair.head"), in("pair.tail"), in("pair.record"), in("pair.label"), in("pair.known")} : PairTensors{});
  }
  return batch;
}

class LmHhdaTokensGolden : public testing::TestWithParam<TokensVariant> {};

TEST_P(LmHhdaTokensGolden, outputs_loss_and_every_gradient_equal_plain_pytorch) {
  const TokensVariant& variant = GetParam();
  const Schema schema = tokens_schema(variant.entities);
  const testing_support::TestModel model = testing_support::golden_model(golden_tokens_settings(variant), schema, tokens_vocabulary);
  const std::map<std::string, double> counts = {{"mortality", 4}, {"relation", 7}, {"diagnosis", 3}};
  LeafContext context;
  for (const Task& task : schema.tasks) context.label_counts.push_back(counts.at(task.name));
  const testing_support::ModelResult result = run_model(model, tokens_batch(schema), context);
  const auto compared = testing_support::expect_variant(variant.name, read_golden("lm_hhda_tokens.safetensors"), model, result);
  EXPECT_EQ(compared.gradients, testing_support::trainable_entries(model));
  EXPECT_EQ(compared.outputs, model.list.tasks.size() + 2);
}

INSTANTIATE_TEST_SUITE_P(of, LmHhdaTokensGolden, testing::ValuesIn(tokens_variants()), [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace tributary
