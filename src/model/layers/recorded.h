// What the operators with a waiting weight product share: when a node is needed, and how its backward finds the queue and its slots.
// Included by the operators' .cpp files only: the autograd header is slow to compile.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "model/block.h"

namespace tributary::ops {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// True when one of `inputs` asks for a gradient and gradients are recorded. Throws: Error{internal} when there is then no queue.
inline bool recorded(const char* name, WeightQueue* queue, std::initializer_list<at::Tensor> inputs) {
  if (!at::GradMode::is_enabled()) return false;
  bool wanted = false;
  for (const at::Tensor& input : inputs) wanted = wanted || (input.defined() && input.requires_grad());
  check(!wanted || queue != nullptr, "{}: a gradient is recorded but there is no weight queue", name);
  return wanted;
}

// Where an operator's backward puts its weight products: one slot of the queue, reserved in forward. The queue must outlive backward.
class Waiting {
 public:
  explicit Waiting(WeightQueue* queue) : queue_(queue), slot_(queue->reserve()) {}
  explicit Waiting(AutogradContext* ctx)
      : queue_(reinterpret_cast<WeightQueue*>(ctx->saved_data.at("queue").toInt())), slot_(static_cast<int>(ctx->saved_data.at("slot").toInt())) {}
  void save(AutogradContext* ctx) const {
    ctx->saved_data["queue"] = reinterpret_cast<std::int64_t>(queue_);
    ctx->saved_data["slot"] = static_cast<std::int64_t>(slot_);
  }
  void add(const at::Tensor& parameter, WeightQueue::Product product) const { queue_->add(slot_, parameter, std::move(product)); }

 private:
  WeightQueue* queue_;
  int slot_;
};

// x [..., D] as [N, D], contiguous.
inline at::Tensor as_rows(const at::Tensor& x) { return x.contiguous().view({x.numel() / std::max<std::int64_t>(x.size(-1), 1), x.size(-1)}); }

}  // namespace tributary::ops
