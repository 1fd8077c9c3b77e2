#include "optim/slices.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tributary {

ArenaSlices slice_arena(std::int64_t total, int ranks) {
  check(total % arena_block == 0, "an arena of {} elements is not a multiple of {}", total, arena_block);
  const std::int64_t blocks = total / arena_block;
  ArenaSlices slices;
  for (int r = 0; r < ranks; ++r) {
    const std::int64_t first = blocks * r / ranks, last = blocks * (r + 1) / ranks;
    slices.offsets.push_back(first * arena_block);
    slices.counts.push_back((last - first) * arena_block);
  }
  return slices;
}

std::vector<ArenaSlices> slice_gradient(const ModelLayout& layout, int stage, int ranks) {
  std::vector<ArenaSlices> parts{slice_arena(layout.stages.at(static_cast<std::size_t>(stage)).parameters.trainable, ranks)};
  for (const LaterUse& use : layout.later) {
    if (use.stage != stage) continue;
    const ParameterLayout& owner = layout.stages[static_cast<std::size_t>(use.owner)].parameters;
    const ParameterEntry& entry = owner.entries[use.entry];
    const ArenaSlices of_owner = slice_arena(owner.trainable, ranks);
    ArenaSlices& part = parts.emplace_back();
    for (std::size_t r = 0; r < of_owner.counts.size(); ++r) {
      const std::int64_t first = std::clamp(of_owner.offsets[r], entry.offset, entry.offset + entry.padded);
      const std::int64_t last = std::clamp(of_owner.offsets[r] + of_owner.counts[r], entry.offset, entry.offset + entry.padded);
      part.offsets.push_back(use.gradient + first - entry.offset);
      part.counts.push_back(last - first);
    }
  }
  return parts;
}

namespace {

std::vector<Range> joined(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  std::vector<Range> result;
  for (const Range& range : ranges) {
    if (!result.empty() && result.back().offset + result.back().count == range.offset)
      result.back().count += range.count;
    else
      result.push_back(range);
  }
  return result;
}

}  // namespace

std::vector<Bucket> make_buckets(const StageLayout& stage, std::int64_t elements) {
  std::vector<Bucket> buckets;
  std::vector<Range> open;
  std::int64_t held = 0, all = 0;
  for (std::size_t block = stage.uses.size(); block-- > 0;) {
    for (const ParameterUse& use : stage.uses[block]) {
      if (use.gradient < 0) continue;
      const std::int64_t count = stage.parameters.entries[use.entry].padded;
      open.push_back({use.gradient, count});
      held += count;
      all += count;
    }
    if (held == 0 || (held < elements && block > 0)) continue;
    buckets.push_back({block, joined(std::exchange(open, {}))});
    held = 0;
  }
  check(all == stage.gradient, "the blocks' gradients are {} elements, the buffer has {}", all, stage.gradient);
  return buckets;
}

std::vector<Piece> pieces_of_rank(const Bucket& bucket, const std::vector<ArenaSlices>& parts, std::size_t rank) {
  std::vector<Piece> pieces;
  std::int64_t place = 0;
  for (const ArenaSlices& part : parts) {
    const std::int64_t begin = part.offsets[rank], end = begin + part.counts[rank];
    for (const Range& range : bucket.ranges) {
      const std::int64_t first = std::max(range.offset, begin), last = std::min(range.offset + range.count, end);
      if (first < last) pieces.push_back({{first, last - first}, place + first - begin});
    }
    place += part.counts[rank];
  }
  return pieces;
}

}  // namespace tributary
