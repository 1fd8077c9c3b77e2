// A model in one piece, one leaf forward and backward.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "pipeline/engine.h"

namespace tributary::testing_support {

struct KeepOne final : GradientSink {
  explicit KeepOne(at::Tensor zeroed) : buffer(std::move(zeroed)) {}
  at::Tensor begin(std::int64_t) override { return buffer; }
  void complete(std::int64_t, at::Tensor) override {}
  at::Tensor buffer;
};

struct LeafResult {
  std::vector<at::Tensor> outputs;  // as BlockList::outputs
  at::Tensor gradient;              // [trainable], shared parameters summed
};

inline LeafResult run_leaf(const BlockList& list, const ModelLayout& layout, const at::Tensor& arena, const Leaf& leaf) {
  KeepOne sink(make_gradient(layout.stages.front(), arena.scalar_type()));
  auto outputs = Engine(list, layout).run(alone(1), {arena}, {leaf}, {&sink});
  return {std::move(outputs.at(0).outputs), fold_uses(layout, sink.buffer)};
}

}  // namespace tributary::testing_support
