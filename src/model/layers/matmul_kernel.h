// The kernel below matmul.h, on plain pointers.
#pragma once

#include <cstdint>

namespace tributary::ops {

inline constexpr std::int64_t panel_columns = 32;

struct FactorView {
  std::int64_t depth, columns;
  const float* b;
  std::int64_t b_row, b_column;  // strides; one of them is 1
};

// packed [panels, depth, 32]: columns beyond the last are zeros.
void pack_panels(const FactorView& view, float* packed);

struct ProductView {
  std::int64_t m, n, k;
  const float* a;
  std::int64_t a_row, a_column;  // strides; one of them is 1
  const float* packed;           // [panels, K, 32]
  const float* start;            // null: zeros
  std::int64_t start_row;        // 0: one row for all
  float* c;
  std::int64_t c_row;
};

void multiply_packed(const ProductView& view);

}  // namespace tributary::ops
