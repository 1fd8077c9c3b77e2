// Takes the gradients of one stage as backward finishes them.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace tributary {

class GradientSink {
 public:
  virtual ~GradientSink() = default;

  // Leaf by leaf, ascending, and inside a leaf every block of the stage once, descending. `gradients`: as the block's parameters; undefined: zero, or frozen;
  // that of an embedding's table may be sparse, and is coalesced then.
  virtual void add(std::int64_t leaf, std::size_t block_of_stage, const std::vector<at::Tensor>& gradients) = 0;
};

}  // namespace tributary
