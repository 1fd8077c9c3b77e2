// What the tokenizer needs to know of a character. The Unicode versions are those that Hugging Face's tokenizers use, named in tables.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tributary::unicode {

enum Trait : std::uint8_t {
  removed = 1,      // by text cleaning: NUL, U+FFFD, control, format and private-use characters but tab, line feed and carriage return
  white_space = 2,  // parts words
  punctuation = 4,  // a word of its own; all of ASCII's punctuation and symbols, too
  nonspacing = 8,   // a mark that accent stripping removes
  ideograph = 16,   // of the CJK blocks
  has_lower = 32,
  has_decomposition = 64,
  reorders = 128,  // its combining class is not 0
};

inline constexpr char32_t replacement = 0xFFFD;

[[nodiscard]] std::uint8_t traits(char32_t c);                    // Trait bits; 0 above U+10FFFF
[[nodiscard]] std::u32string_view lower(char32_t c);              // of a character that has_lower
[[nodiscard]] std::size_t decompose(char32_t c, char32_t* into);  // canonical, full; at most 4 characters, returns how many
[[nodiscard]] std::uint8_t combining_class(char32_t c);

struct Decoded {
  char32_t character = replacement;
  std::uint8_t size_bytes = 1;
};

// The first character of `text`, which is not empty; U+FFFD of one byte where no character begins.
[[nodiscard]] Decoded decode(std::string_view text);
void append(std::string& text, char32_t c);  // as UTF-8

}  // namespace tributary::unicode
