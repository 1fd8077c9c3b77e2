#include "model/families/draft.h"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

constexpr std::int64_t hidden_width = 64;  // of attention pooling and of the dynamic ReLU

ParameterSpec uniform_spec(std::string name, std::vector<std::int64_t> shape, std::int64_t fan_in, bool decay) {
  return {std::move(name), std::move(shape), Init::uniform_fan_in, static_cast<double>(fan_in), decay, true};
}

}  // namespace

std::size_t BlockDraft::take(const std::string& tensor) {
  spec.takes.push_back(tensor);
  return spec.takes.size() - 1;
}

std::size_t BlockDraft::parameter(ParameterSpec parameter) {
  parameter.trainable = trainable;
  spec.parameters.push_back(parameter.name);
  parameters.push_back(std::move(parameter));
  return parameters.size() - 1;
}

void add_block(BlockList& list, BlockDraft draft, BlockForward forward) {
  for (ParameterSpec& parameter : draft.parameters) {
    const bool known = std::any_of(list.parameters.begin(), list.parameters.end(), [&](const ParameterSpec& other) { return other.name == parameter.name; });
    if (!known) list.parameters.push_back(std::move(parameter));
  }
  draft.spec.forward = std::move(forward);
  list.blocks.push_back(std::move(draft.spec));
}

at::Tensor LinearLayer::operator()(const at::Tensor& x, const BlockInput& in) const {
  return ops::linear(x, in.parameters[weight], has_bias ? in.parameters[bias] : at::Tensor(), in.weights);
}

at::Tensor LayerNormLayer::operator()(const at::Tensor& x, const BlockInput& in) const {
  return at::layer_norm(x, {x.size(-1)}, in.parameters[weight], in.parameters[bias], epsilon);
}

at::Tensor DynamicReluLayer::operator()(const at::Tensor& x, const BlockInput& in) const {
  if (!dynamic) return at::relu(x);
  return ops::dynamic_relu(x, {in.parameters[d1], in.parameters[b1], in.parameters[d2], in.parameters[b2]}, in.weights);
}

LinearLayer add_linear(BlockDraft& draft, const std::string& name, std::int64_t in, std::int64_t out, Bias bias) {
  LinearLayer layer;
  layer.weight = draft.parameter(uniform_spec(name + ".weight", {out, in}, in, true));
  layer.has_bias = bias == Bias::yes;
  if (layer.has_bias) layer.bias = draft.parameter(uniform_spec(name + ".bias", {out}, in, false));
  return layer;
}

LinearLayer add_bert_linear(BlockDraft& draft, const std::string& name, std::int64_t in, std::int64_t out) {
  LinearLayer layer;
  layer.weight = draft.parameter({name + ".weight", {out, in}, Init::normal, bert_deviation});
  layer.bias = draft.parameter({name + ".bias", {out}, Init::zeros, 0, false});
  layer.has_bias = true;
  return layer;
}

LayerNormLayer add_layer_norm(BlockDraft& draft, const std::string& name, std::int64_t width, double epsilon) {
  LayerNormLayer norm;
  norm.epsilon = epsilon;
  norm.weight = draft.parameter({name + ".weight", {width}, Init::ones, 0, false});
  norm.bias = draft.parameter({name + ".bias", {width}, Init::zeros, 0, false});
  return norm;
}

DynamicReluLayer add_dynamic_relu(BlockDraft& draft, const std::string& set, std::int64_t width, bool dynamic) {
  DynamicReluLayer layer;
  layer.dynamic = dynamic;
  if (!dynamic) return layer;
  const std::string first = "drelu.first." + set, second = "drelu.second." + set + "_" + std::to_string(width);
  layer.d1 = draft.parameter(uniform_spec(first + ".weight", {hidden_width, 1}, 1, true));
  layer.b1 = draft.parameter(uniform_spec(first + ".bias", {hidden_width}, 1, false));
  layer.d2 = draft.parameter({second + ".weight", {width, hidden_width}, Init::zeros, 0, true, true});
  layer.b2 = draft.parameter({second + ".bias", {width}, Init::zeros, 0, false, true});
  return layer;
}

PoolingLayer add_pooling(BlockDraft& draft, const std::string& name, std::int64_t width) {
  PoolingLayer layer;
  layer.w = draft.parameter(uniform_spec(name + ".W.weight", {hidden_width, width}, width, true));
  layer.b = draft.parameter(uniform_spec(name + ".W.bias", {hidden_width}, width, false));
  layer.v = draft.parameter(uniform_spec(name + ".v.weight", {1, hidden_width}, hidden_width, true));
  return layer;
}

std::string group_set(std::size_t group) { return fmt::format("g{}", group); }

}  // namespace tributary
