// How a family describes a block: parameters and taken tensors are named once and read by their number when the block runs.
#pragma once

#include <string>
#include <vector>

#include "model/block.h"
#include "model/layers/operators.h"

namespace tributary {

// A block under construction.
struct BlockDraft {
  explicit BlockDraft(std::string name, bool parameters_trainable = true) : trainable(parameters_trainable) { spec.name = std::move(name); }

  // Its number in BlockInput::taken.
  std::size_t take(const std::string& tensor);
  // Its number in BlockInput::parameters.
  std::size_t parameter(ParameterSpec parameter);

  BlockSpec spec;
  std::vector<ParameterSpec> parameters;
  bool trainable;
};

using BlockForward = std::function<std::vector<at::Tensor>(const BlockInput&)>;

// Adds the finished block and those of its parameters that the list does not hold yet.
void add_block(BlockList& list, BlockDraft draft, BlockForward forward);

// Layers: the numbers of their parameters in the block, and the computation.
struct LinearLayer {
  std::size_t weight = 0, bias = 0;
  bool has_bias = false;
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const BlockInput& in) const;
};

struct DynamicReluLayer {
  std::size_t d1 = 0, b1 = 0, d2 = 0, b2 = 0;
  bool dynamic = true;  // false: a plain ReLU, no parameters
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const BlockInput& in) const;
};

struct PoolingLayer {
  std::size_t w = 0, b = 0, v = 0;
  [[nodiscard]] ops::PoolingWeights weights(const BlockInput& in) const { return {in.parameters[w], in.parameters[b], in.parameters[v]}; }
};

struct LayerNormLayer {
  std::size_t weight = 0, bias = 0;
  double epsilon = 0;
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const BlockInput& in) const;
};

enum class Bias { yes, no };

// `<name>.weight` [out, in] and `<name>.bias` [out], PyTorch's defaults.
[[nodiscard]] LinearLayer add_linear(BlockDraft& draft, const std::string& name, std::int64_t in, std::int64_t out, Bias bias = Bias::yes);

// The same shapes with BERT's initial values: weights N(0, 0.02), biases 0.
inline constexpr double bert_deviation = 0.02;
[[nodiscard]] LinearLayer add_bert_linear(BlockDraft& draft, const std::string& name, std::int64_t in, std::int64_t out);

// `<name>.weight` [width], 1, and `<name>.bias` [width], 0.
[[nodiscard]] LayerNormLayer add_layer_norm(BlockDraft& draft, const std::string& name, std::int64_t width, double epsilon);

// The dynamic ReLU of `set` ("all" or "g<group>") at `width`; a plain ReLU unless `dynamic`.
[[nodiscard]] DynamicReluLayer add_dynamic_relu(BlockDraft& draft, const std::string& set, std::int64_t width, bool dynamic);

// `<name>.W.weight` [64, width], `<name>.W.bias`, `<name>.v.weight` [1, 64].
[[nodiscard]] PoolingLayer add_pooling(BlockDraft& draft, const std::string& name, std::int64_t width);

// Name of group `g` in parameter and tensor names.
[[nodiscard]] std::string group_set(std::size_t group);

}  // namespace tributary
