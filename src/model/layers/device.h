// Where and in what an operator computes. Our own kernels are for float32, some for float64, in host memory; all else takes the library's operators.
#pragma once

#include <ATen/ATen.h>

namespace tributary::ops {

[[nodiscard]] inline bool is_host_float(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }
[[nodiscard]] inline bool is_host_double(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kDouble; }

// What sums, probabilities and states are kept in while the model computes in `type`: float32 at least.
[[nodiscard]] inline at::ScalarType accumulation_type(at::ScalarType type) { return c10::promoteTypes(type, at::kFloat); }

// x itself where it is float32 or wider already.
[[nodiscard]] inline at::Tensor at_least_single(const at::Tensor& x) { return x.to(accumulation_type(x.scalar_type())); }

// `host` on the device of `like`; itself where that is host memory. Does not wait for the device: what lies in pageable memory has left it on return.
[[nodiscard]] inline at::Tensor moved_to(const at::Tensor& like, const at::Tensor& host) { return host.to(like.device(), host.scalar_type(), true); }

}  // namespace tributary::ops
