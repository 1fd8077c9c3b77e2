// The family against a second writing of it: tests/golden/lm_hhda.py computes the same batch record by record in plain PyTorch.
#include <gtest/gtest.h>

#include <functional>

#include "support/lm_hhda_golden.h"

namespace tributary {
namespace {

using testing_support::read_golden;
using Tensors = std::map<std::string, at::Tensor>;

constexpr std::int64_t golden_steps = 7, fusion_vocabulary = 20;

Schema golden_schema() {
  Schema schema;
  schema.steps = golden_steps;
  schema.statics = {{"a", ""}, {"b", ""}, {"c", ""}};
  schema.series = {{"vitals", {{"a", ""}, {"b", ""}}}, {"labs", {{"a", ""}, {"b", ""}, {"c", ""}}}};
  schema.notes = true;
  schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}},
                  {"diagnosis", TaskKind::multiclass, {"a", "b", "c"}},
                  {"medication", TaskKind::multilabel, {"a", "b", "c", "d"}},
                  {"stay", TaskKind::regression, {}},
                  {"rare", TaskKind::binary, {"no", "yes"}}};
  return schema;
}

struct Variant {
  const char* name;
  std::function<void(ModelSettings&)> change;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"default", [](ModelSettings&) {}},
      {"conv1d", [](ModelSettings& s) { s.lstm.transform = "conv1d"; }},
      {"conv1d_wide", [](ModelSettings& s) { s.lstm.transform = "conv1d", s.lstm.kernel = 5; }},
      {"self_attention", [](ModelSettings& s) { s.lstm.transform = "self_attention"; }},
      {"no_temporal", [](ModelSettings& s) { s.lstm.temporal_attention = false; }},
      {"add", [](ModelSettings& s) { s.cnn.fusion = "add"; }},
      {"context", [](ModelSettings& s) { s.attention.kind = "context"; }},
      {"gate_context", [](ModelSettings& s) { s.attention.kind = "gate+context"; }},
      {"split_groups",
       [](ModelSettings& s) {
         s.lstm.layer_groups = {{"labs"}, {"vitals"}};
       }},
      {"late_groups",
       [](ModelSettings& s) {
         s.lstm.layer_groups = {{}, {"labs", "vitals"}, {}};
       }},
      {"plain_lstm", [](ModelSettings& s) { s.use.hr_lstm = false; }},
      {"plain_relu", [](ModelSettings& s) { s.use.dynamic_relu = false; }},
      {"no_global", [](ModelSettings& s) { s.use.global_attention = false; }},
      {"no_cnn", [](ModelSettings& s) { s.use.ms_cnn = false; }},
      {"no_cnn_context", [](ModelSettings& s) { s.use.ms_cnn = false, s.attention.kind = "context"; }},
      {"no_global_no_cnn", [](ModelSettings& s) { s.use.ms_cnn = false, s.use.global_attention = false; }},
      {"hierarchy", [](ModelSettings& s) { s.text.paragraph = s.text.document = "attention"; }},
      {"frozen", [](ModelSettings& s) { s.text.freeze = "all"; }},
      {"focal",
       [](ModelSettings& s) {
         s.heads.loss = {{"mortality", "focal"}, {"diagnosis", "focal"}};
       }},
      {"generalised",
       [](ModelSettings& s) {
         s.heads.loss = {{"mortality", "generalised_cross_entropy"}, {"diagnosis", "generalised_cross_entropy"}};
       }},
      {"log_regression",
       [](ModelSettings& s) {
         s.heads.loss = {{"stay", "squared_log_error"}};
       }},
      {"positive_weight",
       [](ModelSettings& s) {
         s.heads.positive_weight = {{"mortality", 2.5}, {"medication", 0.4}};
       }},
  };
  return all;
}

ModelSettings golden_settings(const Variant& variant) {
  ModelSettings settings = testing_support::small_settings();
  settings.heads.weight = {{"diagnosis", 0.5}};
  variant.change(settings);
  return settings;
}

Batch golden_batch(const Tensors& inputs, const Schema& schema) {
  Batch batch;
  batch.steps = inputs.at("steps");
  batch.presence = inputs.at("presence");
  batch.places.resize(static_cast<std::size_t>(batch.steps.size(0)));
  for (std::size_t g = 0; g < schema.series.size(); ++g) {
    const std::string prefix = "series." + std::to_string(g) + ".";
    batch.series.push_back({inputs.at(prefix + "value"), inputs.at(prefix + "observed"), inputs.at(prefix + "delta")});
  }
  batch.static_value = inputs.at("static_value");
  batch.static_observed = inputs.at("static_observed");
  batch.notes = testing_support::golden_notes(inputs);
  for (const Task& task : schema.tasks) batch.labels.push_back({inputs.at("label." + task.name + ".value"), inputs.at("label." + task.name + ".valid")});
  return batch;
}

class LmHhdaGolden : public testing::TestWithParam<Variant> {};

TEST_P(LmHhdaGolden, outputs_loss_and_every_gradient_equal_plain_pytorch) {
  const Variant& variant = GetParam();
  const Schema schema = golden_schema();
  const Batch batch = golden_batch(read_golden("lm_hhda_inputs.safetensors"), schema);
  const testing_support::TestModel model = testing_support::golden_model(golden_settings(variant), schema, fusion_vocabulary);
  LeafContext context;
  context.label_counts = {4, 3, 12, 5, 0};
  const auto compared = testing_support::expect_variant(variant.name, read_golden("lm_hhda_variants.safetensors"), model, run_model(model, batch, context));
  EXPECT_EQ(compared.gradients, testing_support::trainable_entries(model));
  EXPECT_EQ(compared.outputs, schema.tasks.size() + 2);
}

INSTANTIATE_TEST_SUITE_P(of, LmHhdaGolden, testing::ValuesIn(variants()), [](const auto& variant) { return std::string(variant.param.name); });

TEST(LmHhda, every_gradient_element_of_the_default_model_equals_plain_pytorch) {
  const Schema schema = golden_schema();
  const Batch batch = golden_batch(read_golden("lm_hhda_inputs.safetensors"), schema);
  const testing_support::TestModel model = testing_support::golden_model(golden_settings(variants()[0]), schema, fusion_vocabulary);
  LeafContext context;
  context.label_counts = {4, 3, 12, 5, 0};
  const testing_support::ModelResult result = run_model(model, batch, context);
  const Tensors expected = read_golden("lm_hhda_default.safetensors");
  for (const ParameterEntry& entry : model.layout.entries) {
    const std::string& name = entry.spec.name;
    testing_support::expect_golden(view_of(model.layout, result.gradient, model.layout.find(name)), expected.at("gradient." + name), name);
  }
  EXPECT_GT(model.layout.entries.size(), 90U);
}

}  // namespace
}  // namespace tributary
