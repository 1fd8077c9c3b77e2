// A model with its parameters, run through the engine one leaf at a time.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "model/registry.h"
#include "support/one_leaf.h"

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
      : list(build_model(settings, schema, vocabulary)), cut(lay_out(list, {0})), layout(cut.whole), arena(make_arena(layout, type)) {
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
  ModelLayout cut;  // in one piece
  ParameterLayout layout;
  at::Tensor arena;
};

struct ModelResult {
  std::map<std::string, at::Tensor> outputs;  // as the list's outputs, and the loss
  at::Tensor gradient;                        // [total]; 0 for what is frozen
};

inline ModelResult named_outputs(const TestModel& model, const std::vector<at::Tensor>& outputs) {
  ModelResult result;
  for (std::size_t i = 0; i < outputs.size(); ++i) result.outputs[model.list.outputs[i]] = outputs[i];
  return result;
}

inline ModelResult run_model(const TestModel& model, const Batch& batch, const LeafContext& context) {
  const LeafResult leaf = run_leaf(model.list, model.cut, model.arena, {context, &batch});
  ModelResult result = named_outputs(model, leaf.outputs);
  result.gradient = make_arena(model.layout, model.arena.scalar_type());
  result.gradient.narrow(0, 0, model.layout.trainable).copy_(leaf.gradient);
  return result;
}

inline ModelResult evaluate_model(const TestModel& model, const Batch& batch, const LeafContext& context) {
  return named_outputs(model, Engine(model.list, model.cut).evaluate(model.arena, {context, &batch}).outputs);
}

}  // namespace tributary::testing_support
