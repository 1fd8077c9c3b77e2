// A model of two and a half blocks for tests of engine and reduction: a shared parameter, a frozen one, keyed noise, a tensor with several consumers.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "model/block.h"
#include "shards/record_index.h"

namespace tributary::testing_support {

// Dropout by key: element i is decided by draw i.
inline at::Tensor noise(const BlockInput& in, const at::Tensor& like, std::uint64_t draw) {
  const Key key = in.draw_key(draw);
  at::Tensor mask = at::empty(like.sizes(), at::kFloat);
  auto* values = mask.data_ptr<float>();
  for (std::int64_t i = 0; i < mask.numel(); ++i) values[i] = uniform(key, static_cast<std::uint64_t>(i)) < 0.25 ? 0.0F : 1.0F / 0.75F;
  return in.context.training ? like * mask.to(like.scalar_type()) : like;
}

inline constexpr std::int64_t features = 13, width = 37;

// x = static_value [B, 13], y = labels[0].value [B, 1]
inline BlockList two_block_model() {
  BlockList model;
  model.parameters = {{"first.weight", {width, features}, Init::uniform_fan_in, 13}, {"first.bias", {width}, Init::zeros, 0, false},
                      {"shared.weight", {width, width}, Init::uniform_fan_in, 37},   {"second.weight", {width, 2 * width}, Init::uniform_fan_in, 74},
                      {"head.weight", {1, width}, Init::uniform_fan_in, 37},         {"head.bias", {1}, Init::zeros, 0, false},
                      {"frozen.scale", {width}, Init::normal, 1.0, false, false}};
  model.blocks.push_back({"first",
                          {BatchField::statics},
                          {},
                          {"hidden", "branch"},
                          {"first.weight", "first.bias", "shared.weight", "frozen.scale"},
                          [](const BlockInput& in) -> std::vector<at::Tensor> {
                            const at::Tensor hidden = at::tanh(at::linear(in.batch.static_value, in.parameters[0], in.parameters[1]));
                            const at::Tensor dropped = noise(in, hidden, 0);
                            return {dropped, at::sigmoid(at::linear(dropped, in.parameters[2])) * in.parameters[3]};
                          },
                          [](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
                            return {{{batch.rows(), width}}, {{batch.rows(), width}}};
                          }});
  model.blocks.push_back({"second",
                          {},
                          {"hidden", "branch"},
                          {"joined"},
                          {"second.weight", "shared.weight"},
                          [](const BlockInput& in) -> std::vector<at::Tensor> {
                            const at::Tensor both = at::cat({at::linear(in.taken[0], in.parameters[1]), in.taken[1]}, 1);
                            return {noise(in, at::relu(at::linear(both, in.parameters[0])), 0)};
                          },
                          [](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
                            return {{{batch.rows(), width}}};
                          }});
  model.blocks.push_back({"head",
                          {BatchField::labels},
                          {"joined", "hidden"},
                          {"loss", "loss_sums"},
                          {"head.weight", "head.bias", "shared.weight"},
                          [](const BlockInput& in) -> std::vector<at::Tensor> {
                            const at::Tensor score = at::linear(in.taken[0] + at::linear(in.taken[1], in.parameters[2]), in.parameters[0], in.parameters[1]);
                            const at::Tensor sum = at::square(score - in.batch.labels[0].value).sum();
                            return {sum / in.context.label_counts[0], sum.detach().to(at::kDouble).reshape({1})};
                          }});
  model.outputs = {"loss_sums"};
  model.tasks = {0};
  return model;
}

// Keyed by (step, leaf) alone, as the plan's leaves are; the last leaf of a step may be shorter.
inline Batch random_batch(std::int64_t step, std::int64_t leaf, std::int64_t rows) {
  Batch batch;
  batch.places.resize(static_cast<std::size_t>(rows));
  batch.static_value = at::empty({rows, features}, at::kFloat);
  at::Tensor label = at::empty({rows, 1}, at::kFloat);
  const Key key = derive_key(Draw::synth, {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(leaf)});
  auto* x = batch.static_value.data_ptr<float>();
  for (std::int64_t i = 0; i < rows * features; ++i) x[i] = static_cast<float>(2 * uniform(key, static_cast<std::uint64_t>(i)) - 1);
  for (std::int64_t i = 0; i < rows; ++i) label.data_ptr<float>()[i] = x[i * features] * x[i * features + 1] + 0.5F * x[i * features + 2];
  batch.labels.push_back({label, at::ones({rows}, at::kBool)});
  return batch;
}

}  // namespace tributary::testing_support
