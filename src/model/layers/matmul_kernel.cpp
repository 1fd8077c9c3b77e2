#include "model/layers/matmul_kernel.h"

#include <algorithm>

#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t k_block = 128;  // a panel's slice of it, 16 KiB, stays in the first-level cache; a longer sum is one of blocks: see Tile
constexpr int most_rows = 12;

// As wide as a register: a compiler that must cut a wider one up keeps its parts in memory.
template <int Lanes>
struct Register {
  typedef float Floats __attribute__((vector_size(Lanes * sizeof(float)), aligned(sizeof(float))));
};

// One tile: `Rows` rows of c by `Vectors` vectors of columns, held in registers over all k; what c starts from is added at the end, so that a long sum is one
// of blocks, whose rounding grows with the root of a block and not of the whole.
struct Tile {
  std::int64_t k;
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;      // [k, panel_columns]
  const float* start;  // null: zeros
  std::int64_t start_row;
  float* c;
  std::int64_t c_row;
};

template <int Rows, int Vectors, int Lanes>
TRIBUTARY_INLINE void run_tile(const Tile& t) {
  using Vector = typename Register<Lanes>::Floats;
  Vector sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Vector{};
  }
  const float* a = t.a;
  const float* b = t.b;
  const std::int64_t a_row = t.a_row, a_column = t.a_column;
  for (std::int64_t k = 0; k < t.k; ++k, a += a_column, b += panel_columns) {
    Vector row[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) row[v] = *reinterpret_cast<const Vector*>(b + v * Lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] += a[r * a_row] * row[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      if (t.start != nullptr) sum[r][v] += *reinterpret_cast<const Vector*>(t.start + r * t.start_row + v * Lanes);
      *reinterpret_cast<Vector*>(t.c + r * t.c_row + v * Lanes) = sum[r][v];
    }
  }
}

template <int Rows, int Vectors, int Lanes>
TRIBUTARY_INLINE void run_rows(std::int64_t rows, Tile tile) {
  if (rows == Rows) {
    constexpr int columns = Vectors * Lanes;
    for (int at = 0; at < panel_columns; at += columns) {
      run_tile<Rows, Vectors, Lanes>(tile);
      tile.b += columns;
      tile.c += columns;
      if (tile.start != nullptr) tile.start += columns;
    }
  } else if constexpr (Rows > 1) {
    run_rows<Rows - 1, Vectors, Lanes>(rows, tile);
  }
}

// A tile fills a processor's vector registers: 24 of 32 with 16 floats each, 12 of 16 with 8, 8 of 16 with 4.
struct Kernel {
  std::int64_t rows;
  void (*run)(std::int64_t rows, const Tile& tile);
};

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4"))) void run_v4(std::int64_t rows, const Tile& tile) { run_rows<most_rows, 2, 16>(rows, tile); }
__attribute__((target("arch=x86-64-v3"))) void run_v3(std::int64_t rows, const Tile& tile) { run_rows<6, 2, 8>(rows, tile); }
#endif
void run_plain(std::int64_t rows, const Tile& tile) { run_rows<2, 4, 4>(rows, tile); }

Kernel choose_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512cd")) {
    return {most_rows, run_v4};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return {6, run_v3};
#endif
  return {2, run_plain};
}

// A panel at the right edge has fewer columns than the kernel writes: it works on a full-width copy.
void run_edge(const Kernel& kernel, std::int64_t rows, std::int64_t columns, Tile tile) {
  alignas(64) float start[most_rows * panel_columns] = {}, c[most_rows * panel_columns];
  float* const out = tile.c;
  const std::int64_t out_row = tile.c_row;
  for (std::int64_t r = 0; tile.start != nullptr && r < rows; ++r) std::copy_n(tile.start + r * tile.start_row, columns, start + r * panel_columns);
  tile.start = start;
  tile.start_row = panel_columns;
  tile.c = c;
  tile.c_row = panel_columns;
  kernel.run(rows, tile);
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(c + r * panel_columns, columns, out + r * out_row);
}

// Rows [from, until) of c by one panel of columns, over one block of k. `a` is row `from` at the block's first k.
struct Panel {
  const ProductView& v;
  std::int64_t column, k, depth;
  void run(const Kernel& kernel, std::int64_t row, std::int64_t rows, const float* a, std::int64_t a_row, std::int64_t a_column) const {
    const float* start = v.start == nullptr ? nullptr : v.start + row * v.start_row + column;
    std::int64_t start_row = v.start_row;
    float* c = v.c + row * v.c_row + column;
    if (k > 0) {
      start = c;
      start_row = v.c_row;
    }
    const Tile tile{depth, a, a_row, a_column, v.packed + (column * v.k + k * panel_columns), start, start_row, c, v.c_row};
    const std::int64_t columns = std::min(panel_columns, v.n - column);
    columns == panel_columns ? kernel.run(rows, tile) : run_edge(kernel, rows, columns, tile);
  }
};

// Rows that meet a panel while it stays in the first-level cache; they themselves, a block of k at a time, stay in the second (48 KiB).
constexpr std::int64_t chunk_rows = 96;

struct RowBlocks {
  std::int64_t rows, count;
  // Nearly equal: 16 rows are 8 + 8, not 12 + 4.
  [[nodiscard]] std::int64_t begin(std::int64_t block) const { return block * rows / count; }
};

// Row blocks [first, last) of c, over one block of k.
void run_chunk(const Kernel& kernel, const ProductView& v, const RowBlocks& blocks, std::int64_t first, std::int64_t last, std::int64_t k, std::int64_t depth) {
  const std::int64_t top = blocks.begin(first), rows = blocks.begin(last) - top;
  const float* a = v.a + top * v.a_row + k * v.a_column;
  std::int64_t a_row = v.a_row, a_column = v.a_column;
  alignas(64) float turned[k_block * chunk_rows];
  if (a_column != 1) {  // a transposed factor: its rows' neighbours in memory stand beside each other in the copy
    for (std::int64_t i = 0; i < depth; ++i) std::copy_n(a + i * a_column, rows, turned + i * rows);
    a = turned;
    a_row = 1;
    a_column = rows;
  }
  for (std::int64_t column = 0; column < v.n; column += panel_columns) {
    const Panel panel{v, column, k, depth};
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t row = blocks.begin(block);
      panel.run(kernel, row, blocks.begin(block + 1) - row, a + (row - top) * a_row, a_row, a_column);
    }
  }
}

}  // namespace

void multiply_packed(const ProductView& v) {
  static const Kernel kernel = choose_kernel();
  const RowBlocks blocks{v.m, (v.m + kernel.rows - 1) / kernel.rows};
  const std::int64_t chunk = chunk_rows / kernel.rows;
  for (std::int64_t k = 0; k < std::max<std::int64_t>(v.k, 1); k += k_block) {
    const std::int64_t depth = std::min(k_block, v.k - k);
    for (std::int64_t block = 0; block < blocks.count; block += chunk) run_chunk(kernel, v, blocks, block, std::min(block + chunk, blocks.count), k, depth);
  }
}

}  // namespace tributary::ops
