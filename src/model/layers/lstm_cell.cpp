#include "model/layers/lstm_cell.h"

#include <cmath>
#include <type_traits>

#include "model/layers/vector_math.h"

namespace tributary {
namespace {

template <class T, class V>
TRIBUTARY_INLINE void sigmoid(V& x) {
  if constexpr (std::is_same_v<T, float>) {
    V scale, p;
    x = -x;
    clamp(x, 87.0F);
    split_exp(x, scale, p);
    x = 1.0F / (1.0F + (scale * p + scale));
  } else {
    for (std::size_t j = 0; j < sizeof(V) / sizeof(T); ++j) x[j] = 1 / (1 + std::exp(-x[j]));
  }
}

template <class T, class V>
TRIBUTARY_INLINE void hyperbolic_tangent(V& x) {
  if constexpr (std::is_same_v<T, float>) {
    V scale, p;
    x = x + x;
    clamp(x, 20.0F);
    split_exp(x, scale, p);
    const V less_one = scale * p + (scale - 1.0F);
    x = less_one / (less_one + 2.0F);
  } else {
    for (std::size_t j = 0; j < sizeof(V) / sizeof(T); ++j) x[j] = std::tanh(x[j]);
  }
}

// gate: the first of `count` cells' input gates; the other gates follow at distance `width`.
template <class T, int Width>
TRIBUTARY_INLINE void forward_lanes(std::int64_t count, std::int64_t width, T* gate, const T* c_before, T* c, T* tanh_c, T* h) {
  Lanes<T, Width> i(gate, count), f(gate + width, count), g(gate + 2 * width, count), o(gate + 3 * width, count), state(c_before, count), squashed, out;
  sigmoid<T>(i.v);
  sigmoid<T>(f.v);
  hyperbolic_tangent<T>(g.v);
  sigmoid<T>(o.v);
  state.v = f.v * state.v + i.v * g.v;
  squashed.v = state.v;
  hyperbolic_tangent<T>(squashed.v);
  out.v = o.v * squashed.v;
  i.give(gate, count);
  f.give(gate + width, count);
  g.give(gate + 2 * width, count);
  o.give(gate + 3 * width, count);
  state.give(c, count);
  squashed.give(tanh_c, count);
  out.give(h, count);
}

template <class T, int Width>
TRIBUTARY_INLINE void backward_lanes(std::int64_t count, std::int64_t width, const T* gate, const T* c_before, const T* tanh_c, const T* dh, T* dc, T* dgate) {
  const Lanes<T, Width> i(gate, count), f(gate + width, count), g(gate + 2 * width, count), o(gate + 3 * width, count), before(c_before, count),
      squashed(tanh_c, count), out(dh, count), later(dc, count);
  Lanes<T, Width> state, di, df, dg, d_o, earlier;
  state.v = later.v + out.v * o.v * (1 - squashed.v * squashed.v);
  di.v = state.v * g.v * i.v * (1 - i.v);
  df.v = state.v * before.v * f.v * (1 - f.v);
  dg.v = state.v * i.v * (1 - g.v * g.v);
  d_o.v = out.v * squashed.v * o.v * (1 - o.v);
  earlier.v = state.v * f.v;
  di.give(dgate, count);
  df.give(dgate + width, count);
  dg.give(dgate + 2 * width, count);
  d_o.give(dgate + 3 * width, count);
  earlier.give(dc, count);
}

// Values of a register that holds `floats` floats.
template <class T>
constexpr int values(int floats) {
  return floats * static_cast<int>(sizeof(float)) / static_cast<int>(sizeof(T));
}

struct ForwardRows {
  template <int RegisterFloats, class T>
  TRIBUTARY_INLINE static void run(std::int64_t rows, std::int64_t width, T* gates, const T* c_before, T* c, T* tanh_c, T* h) {
    constexpr int lanes = values<T>(RegisterFloats);
    for (std::int64_t row = 0; row < rows; ++row, gates += 4 * width, c_before += width, c += width, tanh_c += width, h += width) {
      std::int64_t at = 0;
      for (; at + lanes <= width; at += lanes) forward_lanes<T, lanes>(lanes, width, gates + at, c_before + at, c + at, tanh_c + at, h + at);
      if (at < width) forward_lanes<T, lanes>(width - at, width, gates + at, c_before + at, c + at, tanh_c + at, h + at);
    }
  }
};

struct BackwardRows {
  template <int RegisterFloats, class T>
  TRIBUTARY_INLINE static void run(std::int64_t rows, std::int64_t width, const T* gates, const T* c_before, const T* tanh_c, const T* dh, T* dc, T* dgates) {
    constexpr int lanes = values<T>(RegisterFloats);
    for (std::int64_t row = 0; row < rows; ++row, gates += 4 * width, dgates += 4 * width, c_before += width, tanh_c += width, dh += width, dc += width) {
      std::int64_t at = 0;
      for (; at + lanes <= width; at += lanes) backward_lanes<T, lanes>(lanes, width, gates + at, c_before + at, tanh_c + at, dh + at, dc + at, dgates + at);
      if (at < width) backward_lanes<T, lanes>(width - at, width, gates + at, c_before + at, tanh_c + at, dh + at, dc + at, dgates + at);
    }
  }
};

}  // namespace

void lstm_cell_forward(std::int64_t rows, std::int64_t width, float* gates, const float* c_before, float* c, float* tanh_c, float* h) {
  run_vectorised<ForwardRows>(rows, width, gates, c_before, c, tanh_c, h);
}

// The library's exponential and tangent take the time here, one value at a time on any processor.
void lstm_cell_forward(std::int64_t rows, std::int64_t width, double* gates, const double* c_before, double* c, double* tanh_c, double* h) {
  ForwardRows::run<4>(rows, width, gates, c_before, c, tanh_c, h);
}

void lstm_cell_backward(std::int64_t rows, std::int64_t width, const float* gates, const float* c_before, const float* tanh_c, const float* dh, float* dc,
                        float* dgates) {
  run_vectorised<BackwardRows>(rows, width, gates, c_before, tanh_c, dh, dc, dgates);
}

void lstm_cell_backward(std::int64_t rows, std::int64_t width, const double* gates, const double* c_before, const double* tanh_c, const double* dh, double* dc,
                        double* dgates) {
  run_vectorised<BackwardRows>(rows, width, gates, c_before, tanh_c, dh, dc, dgates);
}

}  // namespace tributary
