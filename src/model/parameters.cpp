#include "model/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

bool equal_specs(const ParameterSpec& a, const ParameterSpec& b) {
  return a.shape == b.shape && a.init == b.init && a.scale == b.scale && a.decay == b.decay && a.trainable == b.trainable;
}

// Box-Muller; element i takes draws 2i and 2i + 1, so that no element depends on another's place.
double normal(const Key& key, std::uint64_t element) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(key, 2 * element)));
  return radius * std::cos(2.0 * std::numbers::pi * uniform(key, 2 * element + 1));
}

template <class Value>
void fill(const ParameterSpec& spec, const Key& key, Value* values) {
  const auto count = static_cast<std::uint64_t>(spec.count());
  if (spec.init == Init::zeros) std::fill_n(values, count, Value{0});
  if (spec.init == Init::ones) std::fill_n(values, count, Value{1});
  if (spec.init == Init::uniform_fan_in) {
    const double bound = 1.0 / std::sqrt(spec.scale);
    for (std::uint64_t i = 0; i < count; ++i) values[i] = static_cast<Value>((2.0 * uniform(key, i) - 1.0) * bound);
  }
  if (spec.init == Init::normal)
    for (std::uint64_t i = 0; i < count; ++i) values[i] = static_cast<Value>(spec.scale * normal(key, i));
}

at::Tensor aligned_zeros(std::int64_t elements, at::ScalarType type) {
  at::Tensor arena = at::zeros({elements}, at::TensorOptions().dtype(type));
  check(reinterpret_cast<std::uintptr_t>(arena.data_ptr()) % 64 == 0, "an arena is not aligned to 64 bytes");  // LibTorch's allocator promises it
  return arena;
}

}  // namespace

std::int64_t ParameterSpec::count() const { return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()); }

std::size_t ParameterLayout::find(const std::string& name) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const ParameterEntry& entry) { return entry.spec.name == name; });
  if (found != entries.end()) return static_cast<std::size_t>(found - entries.begin());
  fail(ErrorKind::internal, "no parameter is called '{}'", name);
}

std::int64_t ParameterLayout::trainable_count() const {
  std::int64_t sum = 0;
  for (const ParameterEntry& entry : entries) sum += entry.offset < trainable ? entry.spec.count() : 0;
  return sum;
}

ParameterLayout make_layout(std::vector<ParameterSpec> specs, const std::set<std::string>& borrowed) {
  std::stable_sort(specs.begin(), specs.end(), [](const ParameterSpec& a, const ParameterSpec& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < specs.size(); ++i)
    check(specs[i].name != specs[i - 1].name || equal_specs(specs[i], specs[i - 1]),
          "parameter '{}' stands twice with different shapes, initial values or rules", specs[i].name);
  const auto lent = [&](const ParameterSpec& spec) { return spec.trainable && borrowed.contains(spec.name); };
  const auto others = std::stable_partition(specs.begin(), specs.end(), [&](const ParameterSpec& spec) { return spec.trainable && !lent(spec); });
  std::stable_partition(others, specs.end(), lent);
  ParameterLayout layout;
  for (ParameterSpec& spec : specs) {
    check(!spec.name.empty(), "a parameter without a name");
    check(spec.init != Init::uniform_fan_in || spec.scale > 0, "parameter '{}': fan-in {} is not positive", spec.name, spec.scale);
    if (!layout.entries.empty() && layout.entries.back().spec.name == spec.name) continue;
    const std::int64_t padded = (spec.count() + arena_block - 1) / arena_block * arena_block;
    const bool elsewhere = borrowed.contains(spec.name);
    layout.entries.push_back({std::move(spec), layout.total, padded, elsewhere});
    layout.total += padded;
    if (layout.entries.back().spec.trainable && !elsewhere) layout.trainable = layout.total;
  }
  return layout;
}

at::Tensor view_of(const ParameterLayout& layout, const at::Tensor& arena, std::size_t entry) {
  const ParameterEntry& place = layout.entries.at(entry);
  const bool fits = arena.dim() == 1 && (arena.size(0) == layout.total || (arena.size(0) == layout.trainable && place.offset < layout.trainable));
  check(fits, "an arena of {} elements does not fit a layout of {}", arena.numel(), layout.total);
  return arena.narrow(0, place.offset, place.spec.count()).view(place.spec.shape);
}

at::Tensor make_arena(const ParameterLayout& layout, at::ScalarType type) { return aligned_zeros(layout.total, type); }

void copy_parameters(const ParameterLayout& from, const at::Tensor& source, const ParameterLayout& to, const at::Tensor& target) {
  for (std::size_t e = 0; e < to.entries.size(); ++e) view_of(to, target, e).copy_(view_of(from, source, from.find(to.entries[e].spec.name)));
}

void initialise(const ParameterLayout& layout, const at::Tensor& arena, std::uint64_t seed) {
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const ParameterSpec& spec = layout.entries[e].spec;
    const Key key = derive_key(Draw::initial, seed, spec.name);
    const at::Tensor view = view_of(layout, arena, e);
    if (arena.scalar_type() == at::kDouble)
      fill(spec, key, view.data_ptr<double>());
    else
      fill(spec, key, view.data_ptr<float>());
  }
}

}  // namespace tributary
