// Vectors of 16 values and the exponential on them, for files whose functions are compiled for several processors (vectorised.h).
// Passed by reference only: how a vector travels by value depends on the processor a function is compiled for.
#pragma once

#include <cstdint>
#include <cstring>

#include "model/layers/vectorised.h"

namespace tributary {

inline constexpr std::int64_t lanes = 16;  // values computed together; a shorter rest is padded to it, so that no value sees other instructions

template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(lanes * sizeof(T))));
  Vector v = {};
  TRIBUTARY_INLINE Lanes() = default;
  TRIBUTARY_INLINE Lanes(const T* from, std::int64_t count) { std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(T)); }
  TRIBUTARY_INLINE void give(T* to, std::int64_t count) const { std::memcpy(to, &v, static_cast<std::size_t>(count) * sizeof(T)); }
};
using Floats = Lanes<float>::Vector;
using Bits = Lanes<std::uint32_t>::Vector;

TRIBUTARY_INLINE void clamp(Floats& x, float limit) {  // lets NaN through
  x = x < -limit ? Floats{} - limit : x;
  x = x > limit ? Floats{} + limit : x;
}

// exp(x) = scale * p + scale, scale = 2^k, p = exp(r) - 1 with r in [-ln 2 / 2, ln 2 / 2]; |x| at most 87. Rounding by the 1.5 * 2^23 trick, ln 2 in two
// parts; coefficients near-minimax for (exp(r) - 1 - r) / r^2 on that interval.
TRIBUTARY_INLINE void split_exp(const Floats& x, Floats& scale, Floats& p) {
  constexpr float magic = 12582912.0F;
  const Floats shifted = x * 1.44269504F + magic;
  const Floats k = shifted - magic;
  const Floats r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  Floats series = r * 1.98756915e-4F + 1.39819995e-3F;
  series = series * r + 8.33345205e-3F;
  series = series * r + 4.16657962e-2F;
  series = series * r + 1.66666657e-1F;
  series = series * r + 5.00000000e-1F;
  p = series * (r * r) + r;
  const Bits exponent = (reinterpret_cast<Bits>(shifted) + 127U) << 23U;
  scale = reinterpret_cast<Floats>(exponent);
}

// x becomes exp(x), limited to exp(+-87).
TRIBUTARY_INLINE void exponential(Floats& x) {
  Floats scale, p;
  clamp(x, 87.0F);
  split_exp(x, scale, p);
  x = scale * p + scale;
}

// In a fixed order.
TRIBUTARY_INLINE float sum_of(const Floats& x) {
  float half[8], quarter[4];
  for (int i = 0; i < 8; ++i) half[i] = x[i] + x[i + 8];
  for (int i = 0; i < 4; ++i) quarter[i] = half[i] + half[i + 4];
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

}  // namespace tributary
