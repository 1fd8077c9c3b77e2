// A model with its parameters, run through the engine one leaf at a time.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "model/registry.h"
#include "pipeline/engine.h"

namespace tributary::testing_support {

// A small model of every part.
inline ModelSettings small_settings() {
  ModelSettings settings;
  settings.text.width = 8;
  settings.text.heads = 2;
  settings.text.intermediate = 12;
  settings.text.positions = 10;
  settings.lstm.width = 6;
  settings.cnn.pairs = {{3, 1}, {2, 4}};
  settings.cnn.filters = 3;
  settings.cnn.windows = 3;
  settings.attention.heads = 2;
  settings.attention.head_width = 4;
  return settings;
}

struct TestModel {
  TestModel(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary, at::ScalarType type = at::kDouble)
      : list(build_model(settings, schema, vocabulary)), layout(make_layout(list.parameters)), arena(make_arena(layout, type)) {
    list.outputs.emplace_back(loss_name);
    initialise(layout, arena, 1);
  }
  [[nodiscard]] at::Tensor parameter(const std::string& name) const { return view_of(layout, arena, layout.find(name)); }
  // Every parameter random, none at its initial value.
  void randomise() {
    for (std::size_t entry = 0; entry < layout.entries.size(); ++entry) {
      const ParameterSpec& spec = layout.entries[entry].spec;
      const bool norm = spec.name.find("LayerNorm.weight") != std::string::npos, shift = spec.name.find("drelu.second") != std::string::npos;
      const double scale = shift ? 0.02 : spec.shape.size() == 1 ? 0.3 : 2 / std::sqrt(static_cast<double>(spec.count() / spec.shape[0]));
      const Key key = derive_key(Draw::synth, 77, spec.name);
      const at::Tensor values = view_of(layout, arena, entry).view({-1});
      for (std::int64_t i = 0; i < spec.count(); ++i) values[i].fill_((norm ? 1 : 0) + scale * (2 * uniform(key, static_cast<std::uint64_t>(i)) - 1));
    }
  }

  BlockList list;
  ParameterLayout layout;
  at::Tensor arena;
};

struct ModelResult {
  std::map<std::string, at::Tensor> outputs;  // as the list's outputs, and the loss
  at::Tensor gradient;                        // arena
};

inline ModelResult named_outputs(const TestModel& model, const LeafOutput& output) {
  ModelResult result;
  for (std::size_t i = 0; i < output.outputs.size(); ++i) result.outputs[model.list.outputs[i]] = output.outputs[i];
  return result;
}

// The gradient of one leaf, in an arena of the caller's.
struct KeepOne final : GradientSink {
  explicit KeepOne(at::Tensor zeroed) : arena(std::move(zeroed)) {}
  at::Tensor begin(std::int64_t) override { return arena; }
  void complete(std::int64_t, at::Tensor) override {}
  at::Tensor arena;
};

inline ModelResult run_model(const TestModel& model, const Batch& batch, const LeafContext& context) {
  KeepOne sink(make_arena(model.layout, model.arena.scalar_type()));
  const Engine engine(model.list, model.layout);
  const std::vector<LeafOutput> outputs = engine.run(sequential_schedule(1), model.arena, {{context, &batch}}, sink);
  ModelResult result = named_outputs(model, outputs.at(0));
  result.gradient = sink.arena;
  return result;
}

inline ModelResult evaluate_model(const TestModel& model, const Batch& batch, const LeafContext& context) {
  return named_outputs(model, Engine(model.list, model.layout).evaluate(model.arena, {context, &batch}));
}

}  // namespace tributary::testing_support
