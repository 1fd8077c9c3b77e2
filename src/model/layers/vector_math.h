// Vectors as wide as a register and the exponential on them, for work that is compiled for several processors (vectorised.h).
// Passed by reference only: how a vector travels by value depends on the processor a function is compiled for.
#pragma once

#include <cstdint>
#include <cstring>

#include "model/layers/vectorised.h"

namespace tributary {

inline constexpr int widest = 16;  // floats of the widest register

template <class T, int Width>
struct Lanes {
  typedef T Vector __attribute__((vector_size(Width * sizeof(T))));
  Vector v = {};
  TRIBUTARY_INLINE Lanes() = default;
  // A rest shorter than the register is padded to it, so that no value sees other instructions.
  TRIBUTARY_INLINE Lanes(const T* from, std::int64_t count) { std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(T)); }
  TRIBUTARY_INLINE explicit Lanes(const T* from) { std::memcpy(&v, from, sizeof(v)); }
  TRIBUTARY_INLINE void give(T* to, std::int64_t count) const { std::memcpy(to, &v, static_cast<std::size_t>(count) * sizeof(T)); }
  TRIBUTARY_INLINE void give(T* to) const { std::memcpy(to, &v, sizeof(v)); }
};
template <int Width>
using Floats = typename Lanes<float, Width>::Vector;

template <class V>
TRIBUTARY_INLINE void clamp(V& x, float limit) {  // lets NaN through
  x = x < -limit ? V{} - limit : x;
  x = x > limit ? V{} + limit : x;
}

// exp(x) = scale * p + scale, scale = 2^k, p = exp(r) - 1 with r in [-ln 2 / 2, ln 2 / 2]; |x| at most 87. Rounding by the 1.5 * 2^23 trick, ln 2 in two
// parts; coefficients near-minimax for (exp(r) - 1 - r) / r^2 on that interval.
template <class V>
TRIBUTARY_INLINE void split_exp(const V& x, V& scale, V& p) {
  using Bits = typename Lanes<std::uint32_t, sizeof(V) / sizeof(float)>::Vector;
  constexpr float magic = 12582912.0F;
  const V shifted = x * 1.44269504F + magic;
  const V k = shifted - magic;
  const V r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  V series = r * 1.98756915e-4F + 1.39819995e-3F;
  series = series * r + 8.33345205e-3F;
  series = series * r + 4.16657962e-2F;
  series = series * r + 1.66666657e-1F;
  series = series * r + 5.00000000e-1F;
  p = series * (r * r) + r;
  const Bits exponent = (reinterpret_cast<Bits>(shifted) + 127U) << 23U;
  scale = reinterpret_cast<V>(exponent);
}

// x becomes exp(x), limited to exp(+-87).
template <class V>
TRIBUTARY_INLINE void exponential(V& x) {
  V scale, p;
  clamp(x, 87.0F);
  split_exp(x, scale, p);
  x = scale * p + scale;
}

// 16 sums in as many registers as they take; added up in one order whatever the width.
template <int Width>
struct Sums {
  static constexpr int parts = widest / Width;
  Floats<Width> part[parts] = {};

  [[nodiscard]] TRIBUTARY_INLINE float total() const {
    float all[widest];
    std::memcpy(all, part, sizeof(all));
    for (int half = widest / 2; half > 1; half /= 2)
      for (int i = 0; i < half; ++i) all[i] += all[i + half];
    return all[0] + all[1];
  }
};

}  // namespace tributary
