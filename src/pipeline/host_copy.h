// Tensors on their way through MPI, which sees host memory alone.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <span>

namespace tributary {

// Room in host memory for what comes from, or goes to, `device`: page-locked beside a GPU, so that the copy goes at full speed.
[[nodiscard]] inline at::Tensor host_room(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  return at::empty(sizes, at::TensorOptions().dtype(type).pinned_memory(!device.is_cpu()));
}

// The tensor itself where it is contiguous and in host memory. Blocks: until it is computed.
[[nodiscard]] inline at::Tensor host_copy(const at::Tensor& value) {
  if (value.device().is_cpu()) return value.contiguous();
  at::Tensor copy = host_room(value.sizes(), value.scalar_type(), value.device());
  copy.copy_(value);
  return copy;
}

// Of a contiguous tensor in host memory.
[[nodiscard]] inline std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.numel()) * tensor.element_size()};
}

}  // namespace tributary
