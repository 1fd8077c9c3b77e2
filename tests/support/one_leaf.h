// A model in one piece, one leaf forward and backward.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "pipeline/engine.h"
#include "support/keep_leaves.h"

namespace tributary::testing_support {

struct LeafResult {
  std::vector<at::Tensor> outputs;  // as BlockList::outputs
  at::Tensor gradient;              // [trainable], shared parameters summed
};

inline LeafResult run_leaf(const BlockList& list, const ModelLayout& layout, const at::Tensor& arena, const Leaf& leaf) {
  KeepLeaves sink(layout.stages.front(), arena.scalar_type());
  auto outputs = Engine(list, layout).run(alone(1), {arena}, {leaf}, {&sink});
  return {std::move(outputs.at(0).outputs), fold_uses(layout, sink.gradients.at(0))};
}

}  // namespace tributary::testing_support
