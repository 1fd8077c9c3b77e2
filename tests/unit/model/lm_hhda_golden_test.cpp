// The family against a second writing of it: tests/golden/lm_hhda.py computes the same batch record by record in plain PyTorch.
#include <gtest/gtest.h>

#include <functional>

#include "support/golden.h"
#include "support/model_run.h"

namespace tributary {
namespace {

using testing_support::read_golden;
using Tensors = std::map<std::string, at::Tensor>;

constexpr std::int64_t steps = 7, vocabulary = 20;

Schema golden_schema() {
  Schema schema;
  schema.steps = steps;
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
  const auto note = [&](const char* name) { return inputs.at(std::string("notes.") + name); };
  batch.notes = {note("window_ids"),         note("window_lengths"),     note("token_position"),  note("token_sentence"),
                 note("sentence_paragraph"), note("paragraph_document"), note("document_record"), note("document_hour")};
  for (const Task& task : schema.tasks) batch.labels.push_back({inputs.at("label." + task.name + ".value"), inputs.at("label." + task.name + ".valid")});
  return batch;
}

std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

// The numbers that the script gives to a name.
at::Tensor numbers(const std::string& name, std::int64_t count) {
  std::uint64_t seed = 0xcbf29ce484222325ULL;
  for (const char byte : name) seed = (seed ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  at::Tensor values = at::empty({count}, at::kDouble);
  for (std::int64_t i = 0; i < count; ++i)
    values.data_ptr<double>()[i] = static_cast<double>(mix(seed + static_cast<std::uint64_t>(i)) >> 11) * 0x1.0p-52 - 1.0;
  return values;
}

at::Tensor golden_parameter(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const at::Tensor values = numbers(name, count).view(shape);
  if (name.find("LayerNorm.weight") != std::string::npos) return values * 0.3 + 1;
  if (shape.size() == 1) return values * 0.3;
  double scale = 1.5 / std::sqrt(static_cast<double>(count / shape[0]));
  const std::vector<std::pair<const char*, double>> scales = {{"drelu.second", 0.15}, {".lstm.weight", 3.0}, {"attention.q", 3.0},
                                                              {"attention.k", 3.0},   {"pool.", 2.0},        {"temporal.", 2.0}};
  for (const auto& [part, factor] : scales) {
    if (name.find(part) == std::string::npos) continue;
    scale *= factor;
    break;
  }
  return values * scale;
}

void expect_close(const at::Tensor& found, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  ASSERT_GT(expected.numel(), 0) << what;
  ASSERT_TRUE(at::isfinite(expected).all().item<bool>()) << what;
  const double difference = ((found - expected).abs() / (expected.abs() + 1)).max().item<double>();
  EXPECT_LE(difference, 1e-10) << what;
}

at::Tensor signature(const std::string& name, const at::Tensor& gradient) {
  const at::Tensor flat = gradient.reshape({-1});
  return at::stack({at::dot(numbers("first " + name, flat.numel()), flat), at::dot(numbers("second " + name, flat.numel()), flat), at::dot(flat, flat)});
}

class LmHhdaGolden : public testing::TestWithParam<Variant> {};

TEST_P(LmHhdaGolden, outputs_loss_and_every_gradient_equal_plain_pytorch) {
  const Variant& variant = GetParam();
  const Schema schema = golden_schema();
  const Batch batch = golden_batch(read_golden("lm_hhda_inputs.safetensors"), schema);
  testing_support::TestModel model(golden_settings(variant), schema, vocabulary);
  for (const ParameterEntry& entry : model.layout.entries) model.parameter(entry.spec.name).copy_(golden_parameter(entry.spec.name, entry.spec.shape));
  LeafContext context;
  context.label_counts = {4, 3, 12, 5, 0};
  const testing_support::ModelResult result = run_model(model, batch, context);

  const std::string prefix = std::string(variant.name) + "/";
  std::size_t outputs = 0, gradients = 0;
  for (const auto& [key, expected] : read_golden("lm_hhda_variants.safetensors")) {
    if (key.rfind(prefix, 0) != 0) continue;
    const std::string name = key.substr(prefix.size());
    if (name.rfind("gradient.", 0) == 0) {
      const std::string parameter = name.substr(9);
      expect_close(signature(parameter, view_of(model.layout, result.gradient, model.layout.find(parameter))), expected, key);
      ++gradients;
    } else {
      ASSERT_EQ(result.outputs.count(name), 1U) << name;
      expect_close(result.outputs.at(name), expected, key);
      ++outputs;
    }
  }
  std::size_t trainable = 0;
  for (const ParameterEntry& entry : model.layout.entries) trainable += entry.spec.trainable ? 1 : 0;
  EXPECT_EQ(gradients, trainable);
  EXPECT_EQ(outputs, schema.tasks.size() + 2);
}

INSTANTIATE_TEST_SUITE_P(of, LmHhdaGolden, testing::ValuesIn(variants()), [](const auto& variant) { return std::string(variant.param.name); });

TEST(LmHhda, every_gradient_element_of_the_default_model_equals_plain_pytorch) {
  const Schema schema = golden_schema();
  const Batch batch = golden_batch(read_golden("lm_hhda_inputs.safetensors"), schema);
  testing_support::TestModel model(golden_settings(variants()[0]), schema, vocabulary);
  for (const ParameterEntry& entry : model.layout.entries) model.parameter(entry.spec.name).copy_(golden_parameter(entry.spec.name, entry.spec.shape));
  LeafContext context;
  context.label_counts = {4, 3, 12, 5, 0};
  const testing_support::ModelResult result = run_model(model, batch, context);
  const Tensors expected = read_golden("lm_hhda_default.safetensors");
  for (const ParameterEntry& entry : model.layout.entries) {
    const std::string& name = entry.spec.name;
    expect_close(view_of(model.layout, result.gradient, model.layout.find(name)), expected.at("gradient." + name), name);
  }
  EXPECT_GT(model.layout.entries.size(), 90U);
}

}  // namespace
}  // namespace tributary
