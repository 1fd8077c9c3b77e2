// Gradients of a function of named tensors, those that wait in the weight queue included, and their check by finite differences.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "model/block.h"

namespace tributary::testing_support {

using Tensors = std::map<std::string, at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&, WeightQueue*)>;  // any shape

struct Evaluation {
  at::Tensor value;   // what the function gave, detached
  Tensors gradients;  // of contract(value) for every floating tensor, zeros where it does not matter
};

// A fixed weighted sum, so that every element of a result matters and no two matter equally.
inline at::Tensor contract(const at::Tensor& value) {
  const at::Tensor weights = at::arange(1, value.numel() + 1, at::TensorOptions(at::kDouble)).mul(0.7).sin().add(1.3);
  return (value.reshape(-1) * weights.to(value.options().requires_grad(false))).sum();
}

// Runs `function` on leaf copies of `inputs`; a floating input named in `fixed` gets no gradient.
inline Evaluation evaluate(const Tensors& inputs, const Function& function, const std::vector<std::string>& fixed = {}) {
  const c10::AutoGradMode recording(true);
  Tensors leaves;
  std::vector<std::string> names;
  std::vector<at::Tensor> wanted;
  for (const auto& [name, tensor] : inputs) {
    at::Tensor leaf = tensor.detach().clone();
    if (leaf.is_floating_point() && std::find(fixed.begin(), fixed.end(), name) == fixed.end()) {
      leaf.set_requires_grad(true);
      names.push_back(name);
      wanted.push_back(leaf);
    }
    leaves[name] = leaf;
  }
  WeightQueue queue;
  const at::Tensor value = function(leaves, &queue);
  Evaluation result{value.detach(), {}};
  const std::vector<at::Tensor> direct = torch::autograd::grad({contract(value)}, wanted, {}, std::nullopt, false, true);
  for (std::size_t i = 0; i < names.size(); ++i) result.gradients[names[i]] = direct[i].defined() ? direct[i].clone() : at::zeros_like(wanted[i]).detach();
  for (const WeightQueue::Gradient& queued : queue.drain()) {
    const auto owner = std::find_if(wanted.begin(), wanted.end(), [&](const at::Tensor& leaf) { return leaf.is_same(queued.parameter); });
    if (owner == wanted.end()) {
      ADD_FAILURE() << "a queued gradient belongs to no input";
      continue;
    }
    result.gradients[names[static_cast<std::size_t>(owner - wanted.begin())]] += queued.value;
  }
  return result;
}

// Largest |a - b| relative to max(1, largest |b|). Two empty tensors differ by 0; NaN anywhere gives NaN.
inline double difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  const at::Tensor x = a.to(at::kCPU, at::kDouble), y = b.to(at::kCPU, at::kDouble);
  return (x - y).abs().max().item<double>() / std::max(1.0, y.abs().max().item<double>());
}

inline void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const std::string& what) {
  const double found = difference(a, b);
  EXPECT_TRUE(found <= tolerance) << what << " differs by " << found;
}

inline void expect_close(const Evaluation& a, const Evaluation& b, double tolerance) {
  expect_close(a.value, b.value, tolerance, "the value");
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  ASSERT_FALSE(b.gradients.empty());
  for (const auto& [name, gradient] : b.gradients) expect_close(a.gradients.at(name), gradient, tolerance, "the gradient of " + name);
}

// Central differences in double, for at most `limit` elements of each floating input, spread over it.
inline void expect_gradients_by_differences(const Tensors& inputs, const Function& function, double tolerance = 1e-7, std::int64_t limit = 40,
                                            const std::vector<std::string>& fixed = {}) {
  const Evaluation analytic = evaluate(inputs, function, fixed);
  const auto loss = [&](const Tensors& at_point) {
    const c10::NoGradGuard no_gradients;
    return contract(function(at_point, nullptr)).item<double>();
  };
  std::int64_t compared = 0;
  for (const auto& [name, gradient] : analytic.gradients) {
    ASSERT_EQ(gradient.scalar_type(), at::kDouble) << name;
    const double scale = gradient.numel() == 0 ? 1 : std::max(1.0, gradient.abs().max().item<double>());
    const std::int64_t stride = std::max<std::int64_t>(1, (gradient.numel() + limit - 1) / limit);
    for (std::int64_t i = 0; i < gradient.numel(); i += stride, ++compared) {
      constexpr double step = 1e-5;
      Tensors moved = inputs;
      moved[name] = inputs.at(name).clone(at::MemoryFormat::Contiguous);
      double& element = moved[name].data_ptr<double>()[i];
      const double middle = element;
      element = middle + step;
      const double above = loss(moved);
      element = middle - step;
      const double below = loss(moved);
      EXPECT_NEAR(gradient.reshape(-1)[i].item<double>() / scale, (above - below) / (2 * step) / scale, tolerance) << name << "[" << i << "]";
    }
  }
  EXPECT_GT(compared, 0);
}

// Reproducible test numbers: element i is scale * sin of a number that depends on i and seed, so no generator's state is involved.
inline at::Tensor numbers(std::vector<std::int64_t> shape, double seed, double scale = 1, at::ScalarType type = at::kDouble) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  const at::Tensor index = at::arange(count, at::TensorOptions(at::kDouble));
  return (index * 12.9898 + seed * 78.233).sin().mul(43758.5453).frac().mul(scale).reshape(shape).to(type);
}

}  // namespace tributary::testing_support
