// A sink that keeps every leaf's gradient of a stage.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "pipeline/gradient_sink.h"
#include "pipeline/stage_layout.h"

namespace tributary::testing_support {

class KeepLeaves final : public GradientSink {
 public:
  explicit KeepLeaves(const StageLayout& stage, at::ScalarType type = at::kFloat) : stage_(stage), type_(type) {}
  void add(std::int64_t leaf, std::size_t block, const std::vector<at::Tensor>& given) override {
    if (leaves.empty() || leaves.back() != leaf) {
      leaves.push_back(leaf);
      gradients.push_back(at::zeros({stage_.gradient}, at::TensorOptions().dtype(type_)));
    }
    const std::vector<ParameterUse>& uses = stage_.uses[block];
    for (std::size_t p = 0; p < uses.size(); ++p) {
      if (uses[p].gradient < 0 || !given[p].defined()) continue;
      const at::Tensor dense = given[p].is_sparse() ? given[p].to_dense() : given[p];
      gradients.back().narrow(0, uses[p].gradient, dense.numel()).view(dense.sizes()).copy_(dense);
    }
  }
  std::vector<std::int64_t> leaves;
  std::vector<at::Tensor> gradients;  // [StageLayout::gradient] each

 private:
  const StageLayout& stage_;
  at::ScalarType type_;
};

}  // namespace tributary::testing_support
