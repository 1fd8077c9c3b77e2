#include "model/layers/matmul.h"

#include "base/error.h"
#include "model/layers/device.h"
#include "model/layers/library.h"
#include "model/layers/matmul_kernel.h"

namespace tributary::ops {

at::Tensor library::product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) { return bias.defined() ? at::addmm(bias, a, b) : at::mm(a, b); }

at::Tensor pack_columns(const at::Tensor& b) {
  const at::Tensor dense = b.stride(0) == 1 || b.stride(1) == 1 ? b : b.contiguous();
  at::Tensor packed = at::empty({(b.size(1) + panel_columns - 1) / panel_columns, b.size(0), panel_columns}, b.options().requires_grad(false));
  pack_panels({.depth = b.size(0), .columns = b.size(1), .b = dense.const_data_ptr<float>(), .b_row = dense.stride(0), .b_column = dense.stride(1)},
              packed.data_ptr<float>());
  return packed;
}

void multiply_packed(const at::Tensor& a, const at::Tensor& packed, const at::Tensor& start, const at::Tensor& c) {
  const bool one_row = start.defined() && start.dim() == 1;
  check(a.stride(0) == 1 || a.stride(1) == 1, "multiply_packed: both strides of a are above 1");
  check(packed.size(1) == a.size(1) && packed.size(0) == (c.size(1) + panel_columns - 1) / panel_columns && c.size(0) == a.size(0) && c.stride(1) == 1,
        "multiply_packed: shapes do not fit");
  check(!start.defined() || (start.size(-1) == c.size(1) && start.stride(-1) == 1 && (one_row || start.size(0) == c.size(0))),
        "multiply_packed: the start does not fit");
  multiply_packed({.m = a.size(0),
                   .n = c.size(1),
                   .k = a.size(1),
                   .a = a.const_data_ptr<float>(),
                   .a_row = a.stride(0),
                   .a_column = a.stride(1),
                   .packed = packed.const_data_ptr<float>(),
                   .start = start.defined() ? start.const_data_ptr<float>() : nullptr,
                   .start_row = start.defined() && !one_row ? start.stride(0) : 0,
                   .c = c.data_ptr<float>(),
                   .c_row = c.stride(0)});
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  if (!is_host_float(a)) return library::product(a, b, bias);
  at::Tensor c = at::empty({a.size(0), b.size(1)}, a.options().requires_grad(false));
  multiply_packed(a.stride(0) == 1 || a.stride(1) == 1 ? a : a.clone(at::MemoryFormat::Contiguous), pack_columns(b), bias, c);
  return c;
}

}  // namespace tributary::ops
