// The generated tables behind characters.h.
#pragma once

#include <cstdint>
#include <span>

namespace tributary::unicode {

struct Range {
  char32_t first, last;
};
struct LowerRange {  // every `stride`-th character from first to last; lower = character + delta
  char32_t first, last;
  std::int32_t stride, delta;
};
struct ClassRange {
  char32_t first, last;
  std::uint8_t combining_class;
};

[[nodiscard]] std::span<const Range> removed_ranges();
[[nodiscard]] std::span<const Range> white_space_ranges();
[[nodiscard]] std::span<const Range> punctuation_ranges();
[[nodiscard]] std::span<const Range> nonspacing_ranges();
[[nodiscard]] std::span<const LowerRange> lower_ranges();
[[nodiscard]] std::span<const ClassRange> class_ranges();
// Without Hangul syllables, which follow a rule. A character, how many it becomes (1 to 4), and those; one after the other, in ascending order.
[[nodiscard]] std::span<const char32_t> decompositions();

}  // namespace tributary::unicode
