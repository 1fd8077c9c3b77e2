#include "model/layers/lstm_cell.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "model/layers/vectorised.h"

namespace tributary {
namespace {

constexpr int lanes = 16;  // cells computed together; a shorter rest is padded to it, so that no cell sees other instructions

// exp(x) - 1 = scale * p + (scale - 1): p = expm1(r), r in [-ln 2 / 2, ln 2 / 2], scale = 2^k. Rounding by the 1.5 * 2^23 trick, ln 2 in two parts.
// Coefficients: near-minimax for (expm1(r) - r - r^2 / 2) / r^3 on that interval.
struct SplitExp {
  float scale, p;
};

TRIBUTARY_INLINE SplitExp split_exp(float x) {
  constexpr float magic = 12582912.0F;
  const float shifted = x * 1.44269504F + magic;
  const float k = shifted - magic;
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  float series = 1.98756915e-4F;
  series = series * r + 1.39819995e-3F;
  series = series * r + 8.33345205e-3F;
  series = series * r + 4.16657962e-2F;
  series = series * r + 1.66666657e-1F;
  series = series * r + 5.00000000e-1F;
  return {std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U), series * (r * r) + r};
}

TRIBUTARY_INLINE float clamped(float x, float limit) {  // lets NaN through
  const float low = x < -limit ? -limit : x;
  return low > limit ? limit : low;
}

TRIBUTARY_INLINE float sigmoid(float x) {
  const SplitExp e = split_exp(clamped(-x, 87.0F));
  return 1.0F / (1.0F + (e.scale * e.p + e.scale));
}

TRIBUTARY_INLINE float hyperbolic_tangent(float x) {
  const SplitExp e = split_exp(clamped(x + x, 20.0F));
  const float q = e.scale * e.p + (e.scale - 1.0F);
  return q / (q + 2.0F);
}

TRIBUTARY_INLINE double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
TRIBUTARY_INLINE double hyperbolic_tangent(double x) { return std::tanh(x); }

// `lanes` cells: i, f, g, o point at their gates.
template <class T>
TRIBUTARY_INLINE void forward_lanes(T* i, T* f, T* g, T* o, const T* c_before, T* c, T* tanh_c, T* h) {
  for (int j = 0; j < lanes; ++j) {
    const T gate_i = sigmoid(i[j]), gate_f = sigmoid(f[j]), gate_g = hyperbolic_tangent(g[j]), gate_o = sigmoid(o[j]);
    const T state = gate_f * c_before[j] + gate_i * gate_g;
    const T squashed = hyperbolic_tangent(state);
    i[j] = gate_i;
    f[j] = gate_f;
    g[j] = gate_g;
    o[j] = gate_o;
    c[j] = state;
    tanh_c[j] = squashed;
    h[j] = gate_o * squashed;
  }
}

template <class T>
TRIBUTARY_INLINE void backward_lanes(const T* i, const T* f, const T* g, const T* o, const T* c_before, const T* tanh_c, const T* dh, T* dc, T* di, T* df,
                                     T* dg, T* d_o) {
  for (int j = 0; j < lanes; ++j) {
    const T state = dc[j] + dh[j] * o[j] * (1 - tanh_c[j] * tanh_c[j]);
    di[j] = state * g[j] * i[j] * (1 - i[j]);
    df[j] = state * c_before[j] * f[j] * (1 - f[j]);
    dg[j] = state * i[j] * (1 - g[j] * g[j]);
    d_o[j] = dh[j] * tanh_c[j] * o[j] * (1 - o[j]);
    dc[j] = state * f[j];
  }
}

template <class T>
struct Lanes {
  T at[lanes] = {};
  TRIBUTARY_INLINE void take(const T* from, std::int64_t count) { std::copy_n(from, count, at); }
  TRIBUTARY_INLINE void give(T* to, std::int64_t count) const { std::copy_n(at, count, to); }
};

template <class T>
TRIBUTARY_INLINE void forward_rows(std::int64_t rows, std::int64_t width, T* gates, const T* c_before, T* c, T* tanh_c, T* h) {
  for (std::int64_t row = 0; row < rows; ++row, gates += 4 * width, c_before += width, c += width, tanh_c += width, h += width) {
    std::int64_t at = 0;
    for (; at + lanes <= width; at += lanes) {
      T* gate = gates + at;
      forward_lanes(gate, gate + width, gate + 2 * width, gate + 3 * width, c_before + at, c + at, tanh_c + at, h + at);
    }
    if (const std::int64_t rest = width - at; rest > 0) {
      Lanes<T> i, f, g, o, before, now, squashed, out;
      i.take(gates + at, rest);
      f.take(gates + width + at, rest);
      g.take(gates + 2 * width + at, rest);
      o.take(gates + 3 * width + at, rest);
      before.take(c_before + at, rest);
      forward_lanes(i.at, f.at, g.at, o.at, before.at, now.at, squashed.at, out.at);
      i.give(gates + at, rest);
      f.give(gates + width + at, rest);
      g.give(gates + 2 * width + at, rest);
      o.give(gates + 3 * width + at, rest);
      now.give(c + at, rest);
      squashed.give(tanh_c + at, rest);
      out.give(h + at, rest);
    }
  }
}

template <class T>
TRIBUTARY_INLINE void backward_rows(std::int64_t rows, std::int64_t width, const T* gates, const T* c_before, const T* tanh_c, const T* dh, T* dc, T* dgates) {
  for (std::int64_t row = 0; row < rows; ++row, gates += 4 * width, dgates += 4 * width, c_before += width, tanh_c += width, dh += width, dc += width) {
    std::int64_t at = 0;
    for (; at + lanes <= width; at += lanes) {
      const T* gate = gates + at;
      T* out = dgates + at;
      backward_lanes(gate, gate + width, gate + 2 * width, gate + 3 * width, c_before + at, tanh_c + at, dh + at, dc + at, out, out + width, out + 2 * width,
                     out + 3 * width);
    }
    if (const std::int64_t rest = width - at; rest > 0) {
      Lanes<T> i, f, g, o, before, squashed, in, state, di, df, dg, d_o;
      i.take(gates + at, rest);
      f.take(gates + width + at, rest);
      g.take(gates + 2 * width + at, rest);
      o.take(gates + 3 * width + at, rest);
      before.take(c_before + at, rest);
      squashed.take(tanh_c + at, rest);
      in.take(dh + at, rest);
      state.take(dc + at, rest);
      backward_lanes(i.at, f.at, g.at, o.at, before.at, squashed.at, in.at, state.at, di.at, df.at, dg.at, d_o.at);
      di.give(dgates + at, rest);
      df.give(dgates + width + at, rest);
      dg.give(dgates + 2 * width + at, rest);
      d_o.give(dgates + 3 * width + at, rest);
      state.give(dc + at, rest);
    }
  }
}

}  // namespace

TRIBUTARY_VECTORISED void lstm_cell_forward(std::int64_t rows, std::int64_t width, float* gates, const float* c_before, float* c, float* tanh_c, float* h) {
  forward_rows(rows, width, gates, c_before, c, tanh_c, h);
}

void lstm_cell_forward(std::int64_t rows, std::int64_t width, double* gates, const double* c_before, double* c, double* tanh_c, double* h) {
  forward_rows(rows, width, gates, c_before, c, tanh_c, h);
}

TRIBUTARY_VECTORISED void lstm_cell_backward(std::int64_t rows, std::int64_t width, const float* gates, const float* c_before, const float* tanh_c,
                                             const float* dh, float* dc, float* dgates) {
  backward_rows(rows, width, gates, c_before, tanh_c, dh, dc, dgates);
}

TRIBUTARY_VECTORISED void lstm_cell_backward(std::int64_t rows, std::int64_t width, const double* gates, const double* c_before, const double* tanh_c,
                                             const double* dh, double* dc, double* dgates) {
  backward_rows(rows, width, gates, c_before, tanh_c, dh, dc, dgates);
}

}  // namespace tributary
