#include "model/layers/matmul_kernel.h"

#include <algorithm>
#include <cstring>

#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t k_block = 128;  // a panel's slice of it, 16 KiB, stays in the first-level cache; a longer sum is one of blocks: see Tile
constexpr int most_rows = 12;
constexpr std::int64_t line = 16;  // floats of a cache line

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
constexpr std::int64_t tile_rows(int register_floats) { return register_floats == 16 ? most_rows : register_floats == 8 ? 6 : 2; }

struct TileRows {
  template <int RegisterFloats>
  TRIBUTARY_INLINE static void run(std::int64_t rows, const Tile* tile) {
    run_rows<tile_rows(RegisterFloats), RegisterFloats == 4 ? 4 : 2, RegisterFloats>(rows, *tile);
  }
};

void run_tile_rows(std::int64_t rows, const Tile& tile) { run_vectorised<TileRows>(rows, &tile); }

// A panel at the right edge has fewer columns than the kernel writes: it works on a full-width copy.
void run_edge(std::int64_t rows, std::int64_t columns, Tile tile) {
  alignas(64) float start[most_rows * panel_columns] = {}, c[most_rows * panel_columns];
  float* const out = tile.c;
  const std::int64_t out_row = tile.c_row;
  for (std::int64_t r = 0; tile.start != nullptr && r < rows; ++r) std::copy_n(tile.start + r * tile.start_row, columns, start + r * panel_columns);
  tile.start = start;
  tile.start_row = panel_columns;
  tile.c = c;
  tile.c_row = panel_columns;
  run_tile_rows(rows, tile);
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(c + r * panel_columns, columns, out + r * out_row);
}

// One panel of columns over one block of k.
struct Panel {
  const ProductView& v;
  std::int64_t column, k, depth;
  // Rows of c; `a` is the first of them at the block's first k.
  void run(std::int64_t row, std::int64_t rows, const float* a, std::int64_t a_row, std::int64_t a_column) const {
    const float* start = v.start == nullptr ? nullptr : v.start + row * v.start_row + column;
    std::int64_t start_row = v.start_row;
    float* c = v.c + row * v.c_row + column;
    if (k > 0) {
      start = c;
      start_row = v.c_row;
    }
    const Tile tile{depth, a, a_row, a_column, v.packed + (column * v.k + k * panel_columns), start, start_row, c, v.c_row};
    const std::int64_t columns = std::min(panel_columns, v.n - column);
    columns == panel_columns ? run_tile_rows(rows, tile) : run_edge(rows, columns, tile);
  }
};

// Rows that meet a panel while it stays in the first-level cache, and the columns they meet before the next block of k: both they themselves (48 KiB a block)
// and what they become (144 KiB) stay in the second.
constexpr std::int64_t chunk_rows = 96, chunk_columns = 12 * panel_columns;

struct RowBlocks {
  std::int64_t rows, count;
  // Nearly equal: 16 rows are 8 + 8, not 12 + 4.
  [[nodiscard]] std::int64_t begin(std::int64_t block) const { return block * rows / count; }
};

struct Chunk {
  std::int64_t first, last;    // row blocks
  std::int64_t column, until;  // columns
  std::int64_t k, k_until;     // the span
};

// The next panel, fetched in shares while this one is multiplied: those of a model's weights come from memory, and the first row block would wait for it.
struct Ahead {
  const float* from;
  std::int64_t floats;
  void fetch(std::int64_t share, std::int64_t shares) const {
    for (std::int64_t i = share * floats / shares; i < (share + 1) * floats / shares; i += line) __builtin_prefetch(from + i, 0, 2);
  }
};

// The one after panel `column` at k: down the chunk, through its blocks of k, then the next chunk, span or rows.
Ahead panel_after(const ProductView& v, const Chunk& chunk, std::int64_t column, std::int64_t k, std::int64_t depth) {
  column += panel_columns;
  if (column >= chunk.until) {
    column = chunk.column;
    k += depth;
  }
  if (k >= chunk.k_until) {
    column = chunk.until < v.n ? chunk.until : 0;
    k = chunk.until < v.n ? chunk.k : chunk.k_until;
  }
  if (k >= v.k) k = 0;
  return {v.packed + (column * v.k + k * panel_columns), std::min(k_block, v.k - k) * panel_columns};
}

// Rows that are met again by further columns are copied for four blocks of k at a time: 192 KiB.
constexpr std::int64_t most_depth = 4 * k_block;

struct Rows {
  const float* values;
  std::int64_t row, column;  // strides
};

// Rows of a over some blocks of k, a block after the other, beside each other in memory whatever their strides: few pages, and a transposed factor's columns
// become neighbours.
struct CompactRows {
  alignas(64) float values[most_depth * chunk_rows];
  std::int64_t rows;
  bool along_k;
  CompactRows(const float* a, std::int64_t a_row, std::int64_t a_column, std::int64_t row_count, std::int64_t depth) : rows(row_count), along_k(a_column == 1) {
    for (std::int64_t k = 0; k < depth; k += k_block) {
      const std::int64_t here = std::min(k_block, depth - k);
      float* const to = values + k * rows;
      if (along_k) {
        for (std::int64_t r = 0; r < rows; ++r) std::copy_n(a + r * a_row + k, here, to + r * here);
      } else {
        for (std::int64_t i = 0; i < here; ++i) std::copy_n(a + (k + i) * a_column, rows, to + i * rows);
      }
    }
  }
  // Those of a block of k, `depth` deep; with the strides they have here.
  [[nodiscard]] Rows block(std::int64_t k, std::int64_t depth) const { return {values + k * rows, along_k ? depth : 1, along_k ? 1 : rows}; }
};

// Where a row block will write for the first time.
void fetch_to_write(const ProductView& v, std::int64_t row, std::int64_t until, std::int64_t column) {
  for (; row < until; ++row) {
    __builtin_prefetch(v.c + row * v.c_row + column, 1, 2);
    if (column + panel_columns / 2 < v.n) __builtin_prefetch(v.c + row * v.c_row + column + panel_columns / 2, 1, 2);
  }
}

void run_chunk(const ProductView& v, const RowBlocks& blocks, const Chunk& chunk, const Rows& a, std::int64_t k, std::int64_t depth) {
  const std::int64_t top = blocks.begin(chunk.first);
  for (std::int64_t column = chunk.column; column < chunk.until; column += panel_columns) {
    const Panel panel{v, column, k, depth};
    const Ahead ahead = panel_after(v, chunk, column, k, depth);
    for (std::int64_t block = chunk.first; block < chunk.last; ++block) {
      const std::int64_t row = blocks.begin(block), next = blocks.begin(block + 1);
      ahead.fetch(block - chunk.first, chunk.last - chunk.first);
      if (k == 0 && block + 1 < chunk.last) fetch_to_write(v, next, blocks.begin(block + 2), column);
      panel.run(row, next - row, a.values + (row - top) * a.row, a.row, a.column);
    }
  }
}

// The row blocks from `first` to before `last` over a span of k.
void run_span(const ProductView& v, const RowBlocks& blocks, std::int64_t first, std::int64_t last, std::int64_t k, std::int64_t span) {
  const std::int64_t top = blocks.begin(first), rows = blocks.begin(last) - top;
  const CompactRows a(v.a + top * v.a_row + k * v.a_column, v.a_row, v.a_column, rows, span);
  for (std::int64_t column = 0; column < v.n; column += chunk_columns) {
    const Chunk chunk{first, last, column, std::min(column + chunk_columns, v.n), k, k + span};
    std::int64_t at = 0;
    do {
      const std::int64_t depth = std::min(k_block, span - at);
      run_chunk(v, blocks, chunk, a.block(at, depth), k + at, depth);
      at += k_block;
    } while (at < span);
  }
}

using Four = Register<4>::Floats;

TRIBUTARY_INLINE Four load_four(const float* from) { return *reinterpret_cast<const Four*>(from); }

// Four columns of four, turned in registers.
TRIBUTARY_INLINE void turn_four(const float* from, std::int64_t column, float* to) {
  const Four a = load_four(from), b = load_four(from + column), c = load_four(from + 2 * column), d = load_four(from + 3 * column);
  const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const auto out = [to](int row) { return reinterpret_cast<Four*>(to + row * panel_columns); };
  *out(0) = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  *out(1) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  *out(2) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  *out(3) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

// A transposed factor is read along its columns, a line of each at a time, so that these stay in the cache; too many columns for the processor to see by
// itself that they go on.
void pack_transposed(const FactorView& v, std::int64_t column, std::int64_t columns, float* to) {
  const float* const from = v.b + column * v.b_column;
  const std::int64_t turned_k = v.depth / line * line, turned_columns = columns / 4 * 4;
  for (std::int64_t k = 0; k < turned_k; k += line) {
    for (std::int64_t c = 0; c < turned_columns; c += 4) {
      const float* const here = from + c * v.b_column + k;
      for (int i = 0; i < 4; ++i) __builtin_prefetch(here + i * v.b_column + 4 * line);
      for (int i = 0; i < line; i += 4) turn_four(here + i, v.b_column, to + (k + i) * panel_columns + c);
    }
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t k = c < turned_columns ? turned_k : 0; k < v.depth; ++k) to[k * panel_columns + c] = from[c * v.b_column + k];
  }
}

void pack_straight(const FactorView& v, std::int64_t column, std::int64_t columns, float* to) {
  const float* from = v.b + column;
  for (std::int64_t k = 0; k < v.depth; ++k, from += v.b_row, to += panel_columns) {
    if (columns == panel_columns) {
      std::memcpy(to, from, panel_columns * sizeof(float));  // its size known to the compiler
    } else {
      std::copy_n(from, columns, to);
    }
  }
}

}  // namespace

void pack_panels(const FactorView& v, float* packed) {
  if (v.depth == 0) return;
  for (std::int64_t column = 0; column < v.columns; column += panel_columns) {
    float* const to = packed + column * v.depth;
    const std::int64_t columns = std::min(panel_columns, v.columns - column);
    if (columns < panel_columns) std::fill_n(to, v.depth * panel_columns, 0.0F);
    v.b_column == 1 ? pack_straight(v, column, columns, to) : pack_transposed(v, column, columns, to);
  }
}

void multiply_packed(const ProductView& v) {
  const std::int64_t most = tile_rows(register_floats());
  const RowBlocks blocks{v.m, (v.m + most - 1) / most};
  const std::int64_t step = chunk_rows / most, most_span = v.n > chunk_columns ? most_depth : k_block;
  for (std::int64_t block = 0; block < blocks.count; block += step) {
    std::int64_t k = 0;
    do {
      run_span(v, blocks, block, std::min(block + step, blocks.count), k, std::min(most_span, v.k - k));
      k += most_span;
    } while (k < v.k);
  }
}

}  // namespace tributary::ops
