// Which elements of a stage's gradient each rank reduces and updates, and in which pieces and order they become ready. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/stage_layout.h"

namespace tributary {

// Multiples of arena_block of a part of a buffer, one a rank.
struct ArenaSlices {
  std::vector<std::int64_t> counts, offsets;  // [ranks], in elements
};

// Of [0, total): contiguous, differing by at most one block.
[[nodiscard]] ArenaSlices slice_arena(std::int64_t total, int ranks);

// Of a stage's gradient buffer: what it trains, then each of its later uses (ModelLayout::later, in order), sliced as its owner slices the parameter: so the
// owner's rank adds what the rank of the same number has of the use.
[[nodiscard]] std::vector<ArenaSlices> slice_gradient(const ModelLayout& layout, int stage, int ranks);

struct Range {
  std::int64_t offset = 0, count = 0;  // in elements
  bool operator==(const Range&) const = default;
};

// A part of a stage's gradient that is reduced at once: a few blocks of the model whose gradients are finished one after the other.
struct Bucket {
  std::size_t last_block = 0;  // of the stage: finished, as backward goes, when this one is
  std::vector<Range> ranges;   // ascending, apart
};

// In the order in which backward finishes them; each but the last has at least `elements`. Together they are the whole buffer.
[[nodiscard]] std::vector<Bucket> make_buckets(const StageLayout& stage, std::int64_t elements);

// A piece of a bucket inside a rank's slices, and where it stands when the rank's slices lie side by side.
struct Piece {
  Range range;
  std::int64_t place = 0;
  bool operator==(const Piece&) const = default;
};
[[nodiscard]] std::vector<Piece> pieces_of_rank(const Bucket& bucket, const std::vector<ArenaSlices>& parts, std::size_t rank);

}  // namespace tributary
