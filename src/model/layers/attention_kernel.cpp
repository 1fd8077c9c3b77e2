#include "model/layers/attention_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "model/layers/matmul_kernel.h"
#include "model/layers/philox_lanes.h"
#include "model/layers/vector_math.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t block_queries = 64;  // whose scores are held at a time: 128 KiB at 512 keys

std::int64_t round_up(std::int64_t count) { return (count + panel_columns - 1) / panel_columns * panel_columns; }

// Panels of the [width, length] matrix whose columns are the rows.
void pack_turned(const HeadShape& shape, HeadRows rows, std::vector<float>& packed) {
  packed.resize(static_cast<std::size_t>(round_up(shape.length) * shape.width));
  pack_panels({.depth = shape.width, .columns = shape.length, .b = rows.data, .b_row = 1, .b_column = rows.stride}, packed.data());
}

// Panels of the [length, width] matrix itself.
void pack_rows(const HeadShape& shape, HeadRows rows, std::vector<float>& packed) {
  packed.resize(static_cast<std::size_t>(round_up(shape.width) * shape.length));
  pack_panels({.depth = shape.length, .columns = shape.width, .b = rows.data, .b_row = rows.stride, .b_column = 1}, packed.data());
}

// to [count, padded] = rows times a turned factor.
void score(const HeadShape& shape, HeadRows rows, std::int64_t first, std::int64_t count, const std::vector<float>& turned, float* to) {
  const std::int64_t padded = round_up(shape.length);
  multiply_packed({.m = count,
                   .n = padded,
                   .k = shape.width,
                   .a = rows.data + first * rows.stride,
                   .a_row = rows.stride,
                   .a_column = 1,
                   .packed = turned.data(),
                   .start = nullptr,
                   .start_row = 0,
                   .c = to,
                   .c_row = padded});
}

// to [length, width] (+)= weights [count, padded] turned times rows.
void add_turned(const HeadShape& shape, const float* weights, HeadRows rows, std::int64_t first, std::int64_t count, std::vector<float>& packed, float* to,
                std::int64_t to_stride) {
  pack_rows({count, shape.width, 1}, {rows.data + first * rows.stride, rows.stride}, packed);
  multiply_packed({.m = shape.length,
                   .n = shape.width,
                   .k = count,
                   .a = weights,
                   .a_row = 1,
                   .a_column = round_up(shape.length),
                   .packed = packed.data(),
                   .start = first == 0 ? nullptr : to,
                   .start_row = to_stride,
                   .c = to,
                   .c_row = to_stride});
}

// One query's scores [padded] become exponentials relative to the highest; returns log(sum) + highest. Keys beyond `length` come out as next to nothing.
struct Exponentiate {
  template <int Width>
  TRIBUTARY_INLINE static float run(float* row, std::int64_t length, std::int64_t padded, float scale, float* total) {
    std::fill(row + length, row + padded, -std::numeric_limits<float>::infinity());
    Floats<Width> highest = Floats<Width>{} - std::numeric_limits<float>::infinity();
    for (std::int64_t j = 0; j < padded; j += Width) {
      const Lanes<float, Width> x(row + j);
      highest = x.v > highest ? x.v : highest;
    }
    float most = highest[0];
    for (int j = 1; j < Width; ++j) most = highest[j] > most ? highest[j] : most;
    Sums<Width> sums;
    for (std::int64_t j = 0; j < padded; j += widest) {
#pragma GCC unroll 4
      for (int part = 0; part < Sums<Width>::parts; ++part) {
        Lanes<float, Width> x(row + j + part * Width);
        x.v = (x.v - most) * scale;
        exponential(x.v);
        sums.part[part] += x.v;
        x.give(row + j + part * Width);
      }
    }
    *total = sums.total();
    return std::log(*total) + most * scale;
  }
};

TRIBUTARY_VECTORISED void drop(float* row, const std::uint8_t* keep, std::int64_t padded) {
  for (std::int64_t j = 0; j < padded; ++j) row[j] = keep[j] != 0 ? row[j] : 0.0F;
}

TRIBUTARY_VECTORISED void multiply(float* row, std::int64_t width, float factor) {
  for (std::int64_t j = 0; j < width; ++j) row[j] *= factor;
}

// scores: q . k in, gradients of q . k out; weights: gradients of the weights in, the weights that met v out.
struct TurnBack {
  template <int Width>
  TRIBUTARY_INLINE static void run(float* scores, float* weights, const std::uint8_t* keep, std::int64_t padded, float scale, float log_sum, float inverse,
                                   float delta) {
    for (std::int64_t j = 0; j < padded; j += Width) {
      Lanes<float, Width> p(scores + j), g(weights + j), met;
      p.v = p.v * scale - log_sum;
      exponential(p.v);
      met.v = p.v * inverse;
      if (keep != nullptr) {
        const Lanes<std::uint8_t, Width> one(keep + j);  // or zero
        const Floats<Width> kept = __builtin_convertvector(one.v, Floats<Width>) * inverse;
        met.v = p.v * kept;
        g.v = g.v * kept;
      }
      p.v = p.v * (g.v - delta) * scale;
      p.give(scores + j);
      met.give(weights + j);
    }
  }
};

struct Dot {
  template <int Width>
  TRIBUTARY_INLINE static float run(const float* a, const float* b, std::int64_t count) {
    Sums<Width> sums;
    std::int64_t i = 0;
    for (; i + widest <= count; i += widest) {
#pragma GCC unroll 4
      for (int part = 0; part < Sums<Width>::parts; ++part)
        sums.part[part] += Lanes<float, Width>(a + i + part * Width).v * Lanes<float, Width>(b + i + part * Width).v;
    }
#pragma GCC unroll 4
    for (int part = 0; part < Sums<Width>::parts; ++part, i += Width) {
      const std::int64_t rest = std::clamp<std::int64_t>(count - i, 0, Width);
      sums.part[part] += Lanes<float, Width>(a + i, rest).v * Lanes<float, Width>(b + i, rest).v;
    }
    return sums.total();
  }
};

static_assert(std::endian::native == std::endian::little, "the low half of a word is its first");

// keep[i] = half i % 2 of word i / 2 >= threshold. Room for count rounded up to two blocks.
TRIBUTARY_VECTORISED void draw(const Key& key, std::uint32_t threshold, std::uint64_t first_call, std::int64_t count, std::uint8_t* keep) {
  const auto least_kept = static_cast<std::uint16_t>(threshold);
  for (std::int64_t i = 0; i < count; i += 2 * philox_block) {
    std::uint32_t words[philox_block];
    std::uint16_t halves[2 * philox_block];
    philox_lanes(key, first_call + static_cast<std::uint64_t>(i / 8), words);
    std::memcpy(halves, words, sizeof(halves));
    for (int j = 0; j < 2 * philox_block; ++j) keep[i + j] = halves[j] >= least_kept;
  }
}

}  // namespace

void draw_attention_mask(const WeightDropout& dropout, std::int64_t first, std::int64_t rows, std::int64_t padded, std::vector<std::uint8_t>& keep) {
  keep.resize(static_cast<std::size_t>(rows * padded + 2 * philox_block));
  draw(dropout.key, dropout.threshold, static_cast<std::uint64_t>(first * padded / 8), rows * padded, keep.data());
}

void attention_forward(const HeadShape& shape, const WeightDropout& dropout, HeadRows q, HeadRows k, HeadRows v, float* out, std::int64_t out_stride,
                       float* log_sum, AttentionScratch& scratch) {
  const std::int64_t padded = round_up(shape.length);
  pack_turned(shape, k, scratch.packed_k);
  pack_rows(shape, v, scratch.packed_v);
  scratch.scores.resize(static_cast<std::size_t>(block_queries * padded));
  float* const scores = scratch.scores.data();
  for (std::int64_t first = 0; first < shape.length; first += block_queries) {
    const std::int64_t count = std::min(block_queries, shape.length - first);
    score(shape, q, first, count, scratch.packed_k, scores);
    if (dropout.threshold > 0) draw_attention_mask(dropout, first, count, padded, scratch.keep);
    float factor[block_queries];
    for (std::int64_t i = 0; i < count; ++i) {
      float* row = scores + i * padded;
      log_sum[first + i] = run_vectorised<Exponentiate>(row, shape.length, padded, shape.scale, factor + i);
      if (dropout.threshold > 0) drop(row, scratch.keep.data() + i * padded, padded);
    }
    float* to = out + first * out_stride;
    multiply_packed({.m = count,
                     .n = shape.width,
                     .k = shape.length,
                     .a = scores,
                     .a_row = padded,
                     .a_column = 1,
                     .packed = scratch.packed_v.data(),
                     .start = nullptr,
                     .start_row = 0,
                     .c = to,
                     .c_row = out_stride});
    for (std::int64_t i = 0; i < count; ++i) multiply(to + i * out_stride, shape.width, dropout.inverse() / factor[i]);
  }
}

void attention_backward(const HeadShape& shape, const WeightDropout& dropout, HeadRows q, HeadRows k, HeadRows v, HeadRows out, const float* log_sum,
                        HeadRows out_gradient, const HeadGradients& gradients, AttentionScratch& scratch) {
  const std::int64_t padded = round_up(shape.length);
  std::vector<float>&turned_k = scratch.packed_k, &turned_v = scratch.packed_v;
  pack_turned(shape, k, turned_k);
  pack_turned(shape, v, turned_v);
  std::vector<float> packed_k, packed;
  pack_rows(shape, k, packed_k);
  scratch.scores.resize(static_cast<std::size_t>(block_queries * padded));
  scratch.weights.resize(scratch.scores.size());
  float *const scores = scratch.scores.data(), *const weights = scratch.weights.data();
  for (std::int64_t first = 0; first < shape.length; first += block_queries) {
    const std::int64_t count = std::min(block_queries, shape.length - first);
    score(shape, q, first, count, turned_k, scores);
    score(shape, out_gradient, first, count, turned_v, weights);
    if (dropout.threshold > 0) draw_attention_mask(dropout, first, count, padded, scratch.keep);
    for (std::int64_t i = 0; i < count; ++i) {
      const float delta = run_vectorised<Dot>(out_gradient.data + (first + i) * out_gradient.stride, out.data + (first + i) * out.stride, shape.width);
      const std::uint8_t* const keep = dropout.threshold > 0 ? scratch.keep.data() + i * padded : nullptr;
      run_vectorised<TurnBack>(scores + i * padded, weights + i * padded, keep, padded, shape.scale, log_sum[first + i], dropout.inverse(), delta);
    }
    add_turned(shape, weights, out_gradient, first, count, packed, gradients.v, gradients.stride);
    add_turned(shape, scores, q, first, count, packed, gradients.k, gradients.stride);
    multiply_packed({.m = count,
                     .n = shape.width,
                     .k = shape.length,
                     .a = scores,
                     .a_row = padded,
                     .a_column = 1,
                     .packed = packed_k.data(),
                     .start = nullptr,
                     .start_row = 0,
                     .c = gradients.q + first * gradients.stride,
                     .c_row = gradients.stride});
  }
}

}  // namespace tributary::ops
