// float32 matrix products, full speed on any processor with AVX-512 or AVX2 (MKL runs at half of it on some), with one factor packed once and used
// often, as in a recurrence, where a library would pack it anew for a few rows each step.
// Every element of a result is a sum of chains of 128 multiply-adds in ascending k: its bits do not depend on the number of rows beside it.
#pragma once

#include <ATen/ATen.h>

namespace tributary::ops {

// b [K, N], any strides -> [N / 32 rounded up, K, 32], columns beyond N zero. 64-byte aligned.
[[nodiscard]] at::Tensor pack_columns(const at::Tensor& b);

// c [M, N] (rows contiguous, any row stride) = start + a [M, K] times the packed [K, N]. a: one of its strides is 1.
// start: undefined for zeros, [N] for one row added to all, or c itself to accumulate.
void multiply_packed(const at::Tensor& a, const at::Tensor& packed, const at::Tensor& start, const at::Tensor& c);

// a [M, K] times b [K, N] (+ bias [N] when defined), any strides; float32 in host memory by the kernel above, all else by the library.
[[nodiscard]] at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

}  // namespace tributary::ops
