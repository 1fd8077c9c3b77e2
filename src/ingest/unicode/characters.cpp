#include "ingest/unicode/characters.h"

#include <algorithm>
#include <array>
#include <vector>

#include "ingest/unicode/tables.h"

namespace tributary::unicode {
namespace {

constexpr char32_t characters = 0x110000;
constexpr char32_t capital_i_with_dot = 0x130;  // the one character whose lower case has two
constexpr std::u32string_view lower_of_capital_i_with_dot = U"i\u0307";
constexpr std::array<Range, 8> ideographs{
    {{0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}}};

// Hangul syllables decompose by the rule of chapter 3.12 of the standard.
constexpr char32_t hangul_first = 0xAC00, hangul_last = 0xD7A3, leading = 0x1100, vowel = 0x1161, trailing = 0x11A7, vowels = 21, trailings = 28;

class Tables {
 public:
  Tables() : traits_(characters) {
    mark(removed_ranges(), removed);
    mark(white_space_ranges(), white_space);
    mark(punctuation_ranges(), punctuation);
    mark(nonspacing_ranges(), nonspacing);
    mark(ideographs, ideograph);
    mark(std::array<Range, 1>{{{hangul_first, hangul_last}}}, has_decomposition);
    for (const ClassRange& range : class_ranges()) mark(std::array<Range, 1>{{{range.first, range.last}}}, reorders);
    traits_[capital_i_with_dot] |= has_lower;
    for (const LowerRange& range : lower_ranges()) {
      for (char32_t c = range.first; c <= range.last; c += static_cast<char32_t>(range.stride)) {
        traits_[c] |= has_lower;
        lower_.emplace_back(c, c + static_cast<char32_t>(range.delta));
      }
    }
    std::sort(lower_.begin(), lower_.end());
    const auto list = decompositions();
    for (std::size_t at = 0; at < list.size(); at += 2 + list[at + 1]) {
      traits_[list[at]] |= has_decomposition;
      decompositions_.emplace_back(list[at], list.subspan(at + 2, list[at + 1]));
    }
  }

  [[nodiscard]] std::uint8_t traits(char32_t c) const { return c < characters ? traits_[c] : std::uint8_t{0}; }

  [[nodiscard]] std::u32string_view lower(char32_t c) const {
    if (c == capital_i_with_dot) return lower_of_capital_i_with_dot;
    const auto found = std::lower_bound(lower_.begin(), lower_.end(), c, [](const auto& entry, char32_t key) { return entry.first < key; });
    return {&found->second, 1};
  }

  [[nodiscard]] std::span<const char32_t> decomposition(char32_t c) const {
    return std::lower_bound(decompositions_.begin(), decompositions_.end(), c, [](const auto& entry, char32_t key) { return entry.first < key; })->second;
  }

 private:
  void mark(std::span<const Range> ranges, Trait trait) {
    for (const Range& range : ranges)
      for (char32_t c = range.first; c <= range.last; ++c) traits_[c] |= trait;
  }

  std::vector<std::uint8_t> traits_;
  std::vector<std::pair<char32_t, char32_t>> lower_;
  std::vector<std::pair<char32_t, std::span<const char32_t>>> decompositions_;
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

}  // namespace

std::uint8_t traits(char32_t c) { return tables().traits(c); }

std::u32string_view lower(char32_t c) { return tables().lower(c); }

std::size_t decompose(char32_t c, char32_t* into) {
  if (c >= hangul_first && c <= hangul_last) {
    const char32_t index = c - hangul_first, last = index % trailings;
    into[0] = leading + index / (vowels * trailings);
    into[1] = vowel + index % (vowels * trailings) / trailings;
    into[2] = trailing + last;
    return last == 0 ? 2 : 3;
  }
  if ((traits(c) & has_decomposition) == 0) {
    into[0] = c;
    return 1;
  }
  const auto parts = tables().decomposition(c);
  std::copy(parts.begin(), parts.end(), into);
  return parts.size();
}

std::uint8_t combining_class(char32_t c) {
  if ((traits(c) & reorders) == 0) return 0;
  const auto ranges = class_ranges();
  return std::lower_bound(ranges.begin(), ranges.end(), c, [](const ClassRange& range, char32_t key) { return range.last < key; })->combining_class;
}

Decoded decode(std::string_view text) {
  const auto byte = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&byte](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first >= 0xC2 && first < 0xE0 && follows(1)) return {(first & 0x1FU) << 6U | (byte(1) & 0x3FU), 2};
  if (first >= 0xE0 && first < 0xF0 && follows(1) && follows(2)) {
    const char32_t c = (first & 0xFU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
    if (c >= 0x800 && (c < 0xD800 || c > 0xDFFF)) return {c, 3};
  }
  if (first >= 0xF0 && first < 0xF5 && follows(1) && follows(2) && follows(3)) {
    const char32_t c = (first & 0x7U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU);
    if (c >= 0x10000 && c < characters) return {c, 4};
  }
  return {};
}

void append(std::string& text, char32_t c) {
  const auto put = [&text](char32_t bits) { text.push_back(static_cast<char>(bits)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | c >> 6U);
    put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | c >> 12U);
    put(0x80U | (c >> 6U & 0x3FU));
    put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | c >> 18U);
    put(0x80U | (c >> 12U & 0x3FU));
    put(0x80U | (c >> 6U & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

}  // namespace tributary::unicode
