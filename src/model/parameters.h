// Names, shapes and places of the parameters of a model or of a stage of it: one flat, 64-byte aligned arena. First stands what is trained, then what another
// stage trains and this one uses too, then what is frozen, each in name order. Optimizer state is of the first part alone.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <set>
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
  bool borrowed = false;    // another stage uses it first: what is stored is that one's
};

struct ParameterLayout {
  std::vector<ParameterEntry> entries;
  std::int64_t total = 0;                                         // elements of the arena
  std::int64_t trainable = 0;                                     // of its first part
  [[nodiscard]] std::size_t find(const std::string& name) const;  // Throws: Error{internal}
  [[nodiscard]] std::int64_t trainable_count() const;             // of the first part, without padding
};

// `borrowed`: names that an earlier stage uses too. Throws: Error{internal} for a name that stands twice with different shapes. Equal specs count once.
[[nodiscard]] ParameterLayout make_layout(std::vector<ParameterSpec> specs, const std::set<std::string>& borrowed = {});

// The parameter as a view of the arena, with its shape; of one that is trained here also as a view of the first part alone.
[[nodiscard]] at::Tensor view_of(const ParameterLayout& layout, const at::Tensor& arena, std::size_t entry);

// A zeroed arena, padding included, 64-byte aligned.
[[nodiscard]] at::Tensor make_arena(const ParameterLayout& layout, at::ScalarType type);

// Copies the values of every parameter of `to` from the arena of a layout that has them all.
void copy_parameters(const ParameterLayout& from, const at::Tensor& source, const ParameterLayout& to, const at::Tensor& target);

// Initial values, each drawn by (seed, name): equal on every rank and for every cut.
void initialise(const ParameterLayout& layout, const at::Tensor& arena, std::uint64_t seed);

}  // namespace tributary
