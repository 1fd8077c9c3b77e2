// A small model of each family and mode with one leaf, to be run in other types and on other devices and compared.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "support/model_run.h"
#include "support/random_batch.h"

namespace tributary::testing_support {

struct ModelLeaf {
  std::string name;
  ModelSettings settings;
  Schema schema;
  Batch batch;                       // float32, in host memory
  std::vector<double> label_counts;  // of the tasks
};

namespace detail {

inline ModelSettings settings_of(const char* family, const char* mode) {
  ModelSettings settings = small_settings();
  settings.model.family = family;
  settings.model.mode = mode;
  settings.text.width = 16;
  settings.text.intermediate = 24;
  settings.lstm.width = 12;
  return settings;
}

inline ModelLeaf timeline_leaf(bool variant) {
  const Schema schema = random_schema(12);
  ModelLeaf leaf{"lm_hhda timeline", settings_of("lm_hhda", "timeline"), schema, to_type(random_leaf(schema, mixed_records(12), 0), at::kFloat), {5, 6, 20, 4}};
  if (variant) {
    leaf.name += ", other parts";
    leaf.settings.lstm.transform = "self_attention";
    leaf.settings.cnn.fusion = "add";
    leaf.settings.attention.kind = "gate+context";
    leaf.settings.text.paragraph = leaf.settings.text.document = "attention";
  }
  return leaf;
}

inline ModelLeaf tokens_leaf(bool variant) {
  const Schema schema = random_text_schema();
  const std::vector<RandomRecord> records = {{3, 1, false, false, 2}, {2, 1, false, false, 0}, {7, 1, false, false, 3}, {6, 1, false, false, 1}};
  ModelLeaf leaf{"lm_hhda tokens", settings_of("lm_hhda", "tokens"), schema, to_type(random_leaf(schema, records, 0), at::kFloat), {3, 9, 3}};
  leaf.settings.heads.relation_layers = {10, 8};
  if (variant) {
    leaf.name += ", without the optional parts";
    leaf.settings.use = {false, false, false, false};
  }
  return leaf;
}

inline ModelLeaf masked_leaf() {
  Schema schema;
  schema.steps = 1;
  schema.notes = true;
  Batch batch = random_leaf(schema, {{1, 1, false, false, 2}, {2, 1, false, false, 0}, {5, 1, false, false, 3}, {6, 1, false, false, 1}}, 0);
  NoteTensors& notes = batch.notes;
  notes.masked_position = notes.token_position.slice(0, 0, notes.token_position.size(0), 3);
  notes.masked_token = (notes.window_ids.reshape({-1}).index_select(0, notes.masked_position) * 7 + 3).remainder(random_vocabulary);
  const auto count = notes.masked_token.size(0);
  batch.labels = {{notes.masked_token.to(at::kFloat).unsqueeze(1), at::ones({count}, at::kBool)}};
  return {"text_mlm", settings_of("text_mlm", "timeline"), schema, to_type(batch, at::kFloat), {static_cast<double>(count)}};
}

// Marked pairs are what a collator makes of mentions; any windows do, one a pair.
inline ModelLeaf pairs_leaf() {
  Schema schema = random_text_schema();
  schema.tasks.erase(schema.tasks.begin() + 2);
  schema.tasks.erase(schema.tasks.begin());
  const std::vector<RandomRecord> records = {{3, 1, false, false, 2}, {7, 1, false, false, 3}, {6, 1, false, false, 1}};
  Batch batch = to_type(random_leaf(schema, records, 0), at::kFloat);
  const std::int64_t pairs = batch.pairs[0].head.size(0);
  const at::Tensor number = at::arange(pairs, at::kLong);
  batch.notes.window_ids = (number.unsqueeze(1) * 5 + at::arange(8, at::kLong) * 3).remainder(random_vocabulary - 4) + 4;
  batch.notes.window_lengths = number.remainder(6) + 3;
  return {"text_bert", settings_of("text_bert", "timeline"), schema, batch, {static_cast<double>(pairs)}};
}

}  // namespace detail

inline std::vector<ModelLeaf> model_leaves() {
  return {detail::timeline_leaf(false), detail::timeline_leaf(true), detail::tokens_leaf(false),
          detail::tokens_leaf(true),    detail::masked_leaf(),       detail::pairs_leaf()};
}

// A model of float32 parameters, none at its initial value, that may run elsewhere.
inline TestModel model_of(const ModelLeaf& leaf) {
  TestModel model(leaf.settings, leaf.schema, random_vocabulary, at::kFloat);
  model.randomise();
  return model;
}

struct Place {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;
  double loss_scale = 1;
  bool training = false;  // dropout
};

// Forward and backward at a place. The gradient is float32 in host memory, as backward left it: with the loss scale as a factor.
inline ModelResult run_at(const TestModel& model, const ModelLeaf& leaf, const Place& place) {
  LeafContext context;
  context.seed = 3;
  context.training = place.training;
  context.label_counts = leaf.label_counts;
  context.loss_scale = place.loss_scale;
  KeepLeaves sink(model.cut.stages.front());
  const auto outputs = Engine(model.list, model.cut).run(alone(1), {model.arena.to(place.device, place.type)}, {{context, &leaf.batch}}, {&sink});
  ModelResult result = named_outputs(model, outputs.at(0).outputs);
  result.gradient = make_arena(model.layout, at::kFloat);
  result.gradient.narrow(0, 0, model.layout.trainable).copy_(fold_uses(model.cut, sink.gradients.at(0)));
  return result;
}

struct GradientComparison {
  std::size_t compared = 0;
  double lowest_cosine = 1;
  std::string of;             // the parameter it belongs to
  double largest_length = 0;  // largest | |a| / |b| - 1 |
};

// Parameter by parameter; those whose reference is shorter than a thousandth of the longest are left out, where only rounding is left.
inline GradientComparison compare_gradients(const TestModel& model, const at::Tensor& found, const at::Tensor& reference) {
  const auto part = [&](const at::Tensor& all, std::size_t entry) { return view_of(model.layout, all, entry).to(at::kDouble).reshape({-1}); };
  double longest = 0;
  for (std::size_t e = 0; e < model.layout.entries.size(); ++e) longest = std::max(longest, part(reference, e).norm().item<double>());
  GradientComparison result;
  for (std::size_t e = 0; e < model.layout.entries.size(); ++e) {
    const at::Tensor a = part(found, e), b = part(reference, e);
    const double length = b.norm().item<double>();
    if (length < 1e-3 * longest) continue;
    ++result.compared;
    const double cosine = a.dot(b).item<double>() / (a.norm().item<double>() * length);
    if (!(cosine >= result.lowest_cosine)) {
      result.lowest_cosine = cosine;
      result.of = model.layout.entries[e].spec.name;
    }
    result.largest_length = std::max(result.largest_length, std::abs(a.norm().item<double>() / length - 1));
  }
  return result;
}

}  // namespace tributary::testing_support
