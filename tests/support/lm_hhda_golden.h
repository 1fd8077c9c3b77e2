// What the scripts of lm_hhda's golden values and their tests share: numbers that belong to names, and notes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "support/golden.h"
#include "support/model_run.h"

namespace tributary::testing_support {

inline std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

// The numbers that the script gives to a name.
inline at::Tensor golden_numbers(const std::string& name, std::int64_t count) {
  std::uint64_t seed = 0xcbf29ce484222325ULL;
  for (const char byte : name) seed = (seed ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  at::Tensor values = at::empty({count}, at::kDouble);
  for (std::int64_t i = 0; i < count; ++i)
    values.data_ptr<double>()[i] = static_cast<double>(mix(seed + static_cast<std::uint64_t>(i)) >> 11) * 0x1.0p-52 - 1.0;
  return values;
}

inline at::Tensor golden_parameter(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const at::Tensor values = golden_numbers(name, count).view(shape);
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

inline void expect_golden(const at::Tensor& found, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  ASSERT_GT(expected.numel(), 0) << what;
  ASSERT_TRUE(at::isfinite(expected).all().item<bool>()) << what;
  const double difference = ((found - expected).abs() / (expected.abs() + 1)).max().item<double>();
  EXPECT_LE(difference, 1e-10) << what;
}

inline at::Tensor signature(const std::string& name, const at::Tensor& gradient) {
  const at::Tensor flat = gradient.reshape({-1});
  return at::stack(
      {at::dot(golden_numbers("first " + name, flat.numel()), flat), at::dot(golden_numbers("second " + name, flat.numel()), flat), at::dot(flat, flat)});
}

inline NoteTensors golden_notes(const std::map<std::string, at::Tensor>& inputs) {
  const auto note = [&](const char* name) { return inputs.at(std::string("notes.") + name); };
  NoteTensors notes;
  notes.window_ids = note("window_ids");
  notes.window_lengths = note("window_lengths");
  notes.token_position = note("token_position");
  notes.token_sentence = note("token_sentence");
  notes.sentence_paragraph = note("sentence_paragraph");
  notes.paragraph_document = note("paragraph_document");
  notes.document_record = note("document_record");
  notes.document_hour = note("document_hour");
  return notes;
}

// The model with the parameters of the scripts.
inline TestModel golden_model(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary) {
  TestModel model(settings, schema, vocabulary);
  for (const ParameterEntry& entry : model.layout.entries) model.parameter(entry.spec.name).copy_(golden_parameter(entry.spec.name, entry.spec.shape));
  return model;
}

struct Compared {
  std::size_t outputs = 0, gradients = 0;
};

// Every stored value of a variant against the result: outputs, and of each gradient its signature.
inline Compared expect_variant(const std::string& variant, const std::map<std::string, at::Tensor>& stored, const TestModel& model, const ModelResult& result) {
  Compared compared;
  const std::string prefix = variant + "/";
  for (const auto& [key, expected] : stored) {
    if (key.rfind(prefix, 0) != 0) continue;
    const std::string name = key.substr(prefix.size());
    if (name.rfind("gradient.", 0) == 0) {
      const std::string parameter = name.substr(9);
      expect_golden(signature(parameter, view_of(model.layout, result.gradient, model.layout.find(parameter))), expected, key);
      ++compared.gradients;
    } else if (result.outputs.count(name) == 1) {
      expect_golden(result.outputs.at(name), expected, key);
      ++compared.outputs;
    } else {
      ADD_FAILURE() << "the model does not give " << key;
    }
  }
  return compared;
}

inline std::size_t trainable_entries(const TestModel& model) {
  return static_cast<std::size_t>(
      std::count_if(model.layout.entries.begin(), model.layout.entries.end(), [](const ParameterEntry& entry) { return entry.spec.trainable; }));
}

}  // namespace tributary::testing_support
