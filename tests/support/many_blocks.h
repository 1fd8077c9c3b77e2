// A model of nine blocks for tests of pipelines: a parameter that blocks of several stages use, a frozen one, keyed noise, tensors that skip stages, one that
// in some leaves depends on nothing, weight products that wait.
#pragma once

#include <string>
#include <vector>

#include "model/layers/operators.h"
#include "support/two_blocks.h"

namespace tributary::testing_support {

inline BlockSpec input_block() {
  return {"input",
          {BatchField::statics},
          {},
          {"h.0"},
          {"input.weight", "input.bias"},
          [](const BlockInput& in) -> std::vector<at::Tensor> {
            return {noise(in, at::tanh(ops::linear(in.batch.static_value, in.parameters[0], in.parameters[1], in.weights)), 0)};
          },
          [](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
            return {{{batch.rows(), width}}};
          }};
}

// Takes the layer before it and, every second one, the input's output too.
inline BlockSpec layer_block(int number, BlockList& model) {
  const std::string name = "layer." + std::to_string(number);
  BlockSpec block{name, {}, {"h." + std::to_string(number - 1)}, {"h." + std::to_string(number)}, {name + ".weight"}, {}};
  model.parameters.push_back({name + ".weight", {width, width}, Init::uniform_fan_in, width});
  const bool skips = number % 2 == 0, shares = number % 3 == 0, scales = number == 2;
  if (skips) block.takes.emplace_back("h.0");
  if (shares) block.parameters.emplace_back("shared.weight");
  if (scales) block.parameters.emplace_back("frozen.scale");
  block.forward = [=](const BlockInput& in) -> std::vector<at::Tensor> {
    at::Tensor x = ops::linear(in.taken[0], in.parameters[0], at::Tensor(), in.weights);
    if (skips) x = x + in.taken[1];
    if (shares) x = x + at::linear(at::relu(x), in.parameters[1]);
    if (scales) x = x * in.parameters[1];
    return {noise(in, at::tanh(x), 0)};
  };
  block.shapes = [](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> { return {{{batch.rows(), width}}}; };
  return block;
}

// [B, 1]; a constant in leaves of three rows.
inline BlockSpec branch_block() {
  return {"branch",
          {},
          {"h.6"},
          {"branch"},
          {"branch.weight", "shared.weight"},
          [](const BlockInput& in) -> std::vector<at::Tensor> {
            if (in.batch.rows() == 3) return {at::ones({3, 1}, in.taken[0].options().requires_grad(false))};
            return {ops::linear(at::linear(in.taken[0], in.parameters[1]), in.parameters[0], at::Tensor(), in.weights)};
          },
          [](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
            return {{{batch.rows(), 1}, batch.rows() != 3}};
          }};
}

inline BlockSpec last_block() {
  return {"head", {BatchField::labels}, {"h.6", "branch", "h.3"}, {"loss", "loss_sums"}, {"head.weight", "head.bias"}, [](const BlockInput& in) {
            const at::Tensor score = ops::linear(in.taken[0] + in.taken[2], in.parameters[0], in.parameters[1], in.weights) + in.taken[1];
            const at::Tensor sum = at::square(score - in.batch.labels[0].value).sum();
            return std::vector<at::Tensor>{sum / in.context.label_counts[0], sum.detach().to(at::kDouble).reshape({1})};
          }};
}

inline BlockList nine_block_model() {
  BlockList model;
  model.parameters = {{"input.weight", {width, features}, Init::uniform_fan_in, features},
                      {"input.bias", {width}, Init::zeros, 0, false},
                      {"shared.weight", {width, width}, Init::uniform_fan_in, width},
                      {"frozen.scale", {width}, Init::normal, 1.0, false, false},
                      {"branch.weight", {1, width}, Init::uniform_fan_in, width},
                      {"head.weight", {1, width}, Init::uniform_fan_in, width},
                      {"head.bias", {1}, Init::zeros, 0, false}};
  model.blocks.push_back(input_block());
  for (int number = 1; number <= 6; ++number) model.blocks.push_back(layer_block(number, model));
  model.blocks.push_back(branch_block());
  model.blocks.push_back(last_block());
  model.outputs = {"loss_sums"};
  model.tasks = {0};
  return model;
}

}  // namespace tributary::testing_support
