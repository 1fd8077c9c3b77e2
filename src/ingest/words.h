// Cuts a text into the words that WordPiece sees, with their places and the sentence and paragraph starts among them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shards/record_block.h"
#include "shards/tokenizer_options.h"

namespace tributary {

struct PlacedCharacter {
  char32_t character = 0;
  std::int32_t begin = 0, end = 0;  // bytes of the source that it comes from
};

// The normalised characters of `text`, which begins `offset` bytes into the source. Places follow Hugging Face's rule: a character that normalisation
// reorders or inserts has the place of the source character whose turn it is.
// Source: the stream-safe order of canonical decomposition, UAX 15.
void normalise(std::string_view text, std::int32_t offset, const TokenizerOptions& options, std::vector<PlacedCharacter>& into);

// TokenMark bits of the next word, from the white space before it.
class MarkKeeper {
 public:
  void white_space(bool line_feed) {
    spaces_ = true;
    newlines_ += line_feed;
  }
  [[nodiscard]] std::uint8_t next_word(char32_t first, bool alone) {
    const bool sentence = newlines_ > 0 || (spaces_ && after_stop_);
    const auto marks = static_cast<std::uint8_t>((sentence ? starts_sentence : 0) | (newlines_ > 1 ? starts_paragraph : 0));
    newlines_ = 0;
    spaces_ = false;
    after_stop_ = alone && (first == '.' || first == '!' || first == '?');
    return marks;
  }

 private:
  std::int64_t newlines_ = 2;  // a text begins a paragraph
  bool spaces_ = false, after_stop_ = false;
};

// The parts of a text in order. `Visitor` has
//   ascii_word(begin, end, marks)   bytes of the source, a run of letters and digits or one punctuation character; lower-casing is left to the visitor
//   word(characters, marks)         a normalised word with anything else in it
//   special(index, begin, end, marks)   a special token, by its index in the options
class WordScanner {
 public:
  explicit WordScanner(const TokenizerOptions& options);

  template <class Visitor>
  void scan(std::string_view text, Visitor&& visitor) const {
    require_size(text);
    MarkKeeper marks;
    std::vector<PlacedCharacter> characters;
    for (std::size_t at = 0; at < text.size();) {
      const Special found = next_special(text, at);
      scan_plain(text, at, found.begin, marks, characters, visitor);
      if (found.size == 0) return;
      visitor.special(found.index, static_cast<std::int32_t>(found.begin), static_cast<std::int32_t>(found.begin + found.size), marks.next_word(0, false));
      at = found.begin + found.size;
    }
  }

 private:
  enum class Kind : std::uint8_t { word, space, punctuation, other };
  struct Special {
    std::size_t begin = 0, size = 0, index = 0;
  };

  static void require_size(std::string_view text);  // Throws: Error{data} when the text is 2 GiB or longer
  // The leftmost, longest special token from `from`; of size 0 at the end of the text when there is none.
  [[nodiscard]] Special next_special(std::string_view text, std::size_t from) const;
  [[nodiscard]] Kind kind(char byte) const { return kinds_[static_cast<unsigned char>(byte)]; }

  template <class Visitor>
  void scan_plain(std::string_view text, std::size_t at, std::size_t to, MarkKeeper& marks, std::vector<PlacedCharacter>& characters, Visitor& visitor) const {
    while (at < to) {
      const char first = text[at];
      const Kind kind_of_first = kind(first);
      if (kind_of_first == Kind::space) {
        marks.white_space(first == '\n');
        ++at;
        continue;
      }
      std::size_t end = at + 1;
      if (kind_of_first == Kind::word)
        while (end < to && kind(text[end]) == Kind::word) ++end;
      const bool plain = kind_of_first != Kind::other && (kind_of_first == Kind::punctuation || end == to || kind(text[end]) != Kind::other);
      if (plain) {
        visitor.ascii_word(static_cast<std::int32_t>(at), static_cast<std::int32_t>(end),
                           marks.next_word(static_cast<unsigned char>(first), kind_of_first == Kind::punctuation));
      } else {
        while (end < to && (kind(text[end]) == Kind::word || kind(text[end]) == Kind::other)) ++end;
        characters.clear();
        normalise(text.substr(at, end - at), static_cast<std::int32_t>(at), options_, characters);
        scan_normalised(characters, marks, visitor);
      }
      at = end;
    }
  }

  template <class Visitor>
  void scan_normalised(std::span<const PlacedCharacter> characters, MarkKeeper& marks, Visitor& visitor) const {
    for (std::size_t at = 0; at < characters.size();) {
      if (is_space(characters[at].character)) {
        marks.white_space(false);
        ++at;
        continue;
      }
      std::size_t end = at + 1;
      const bool alone = is_punctuation(characters[at].character);
      while (!alone && end < characters.size() && !is_space(characters[end].character) && !is_punctuation(characters[end].character)) ++end;
      visitor.word(characters.subspan(at, end - at), marks.next_word(characters[at].character, alone));
      at = end;
    }
  }

  static bool is_space(char32_t c);
  static bool is_punctuation(char32_t c);

  TokenizerOptions options_;
  std::array<Kind, 256> kinds_{};
  std::array<bool, 256> begins_special_{};
  int only_beginning_ = -1;                 // of every special token; -1 when they differ
  std::vector<std::size_t> longest_first_;  // special tokens by falling length
};

}  // namespace tributary
