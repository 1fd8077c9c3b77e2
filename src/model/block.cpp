#include "model/block.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tributary {

void WeightQueue::add(int slot, const at::Tensor& parameter, Product product) {
  check(slot >= 0 && slot < slots_, "WeightQueue: slot {} was not reserved ({} are)", slot, slots_);
  entries_.push_back({slot, parameter, std::move(product)});
}

std::vector<WeightQueue::Gradient> WeightQueue::drain() {
  std::vector<Entry> entries = std::exchange(entries_, {});
  // Stable: an operator may add several products under one slot, in an order of its own.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.slot < b.slot; });
  std::vector<Gradient> gradients;
  gradients.reserve(entries.size());
  for (Entry& entry : entries) {
    gradients.push_back({entry.parameter, entry.product()});
    entry.product = nullptr;  // lets go of saved activations before the next product is formed
  }
  return gradients;
}

at::ScalarType TensorShape::scalar_type(at::ScalarType compute) const {
  if (type == Type::wide) return at::kDouble;
  return type == Type::single ? c10::promoteTypes(compute, at::kFloat) : compute;
}

Key BlockInput::draw_key(std::uint64_t draw) const {
  return derive_key(Draw::dropout, {context.seed, static_cast<std::uint64_t>(context.step), static_cast<std::uint64_t>(context.leaf),
                                    static_cast<std::uint64_t>(block), draw});
}

}  // namespace tributary
