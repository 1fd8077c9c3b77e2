// Names, shapes and places of all parameters of a model: one flat, 64-byte aligned arena, what is trained first, then what is frozen, each in name order.
// Gradients and optimizer state are arenas of the first part alone, so a frozen parameter costs neither memory nor communication there.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/key.h"

namespace tributary {

enum class Init { zeros, ones, uniform_fan_in, normal };  // uniform_fan_in: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default

struct ParameterSpec {
  std::string name;  // its identity in optimizer, checkpoint and export
  std::vector<std::int64_t> shape;
  Init init = Init::zeros;
  double scale = 0;       // uniform_fan_in: fan_in; normal: standard deviation
  bool decay = true;      // weight decay applies (false for biases and norms)
  bool trainable = true;  // false: frozen, no gradient, no optimizer state moves
  [[nodiscard]] std::int64_t count() const;
};

// Elements every entry is padded to: slices of ranks and blocks of the gradient norm are multiples of it.
inline constexpr std::int64_t arena_block = 1024;

struct ParameterEntry {
  ParameterSpec spec;
  std::int64_t offset = 0;  // in elements, a multiple of arena_block
  std::int64_t padded = 0;  // count rounded up to arena_block
};

struct ParameterLayout {
  std::vector<ParameterEntry> entries;                            // trainable ones first; each kind sorted by name
  std::int64_t total = 0;                                         // elements of the arena
  std::int64_t trainable = 0;                                     // of its first part: of a gradient arena
  [[nodiscard]] std::size_t find(const std::string& name) const;  // Throws: Error{internal}
  [[nodiscard]] std::int64_t trainable_count() const;             // without padding
};

// Throws: Error{internal} for a name that stands twice with different shapes. Equal specs of a shared parameter count once.
[[nodiscard]] ParameterLayout make_layout(std::vector<ParameterSpec> specs);

// The parameter as a view of the arena, with its shape; of a trainable one also as a view of a gradient arena.
[[nodiscard]] at::Tensor view_of(const ParameterLayout& layout, const at::Tensor& arena, std::size_t entry);

// A zeroed arena, padding included, 64-byte aligned.
[[nodiscard]] at::Tensor make_arena(const ParameterLayout& layout, at::ScalarType type);

// The same for gradients: the trainable part alone.
[[nodiscard]] at::Tensor make_gradient_arena(const ParameterLayout& layout, at::ScalarType type);

// Initial values, each drawn by (seed, name): equal on every rank and for every cut.
void initialise(const ParameterLayout& layout, const at::Tensor& arena, std::uint64_t seed);

}  // namespace tributary
