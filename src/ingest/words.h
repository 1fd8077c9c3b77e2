// Cuts a text into the words that WordPiece sees, with their places and the sentence and paragraph starts among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct Word {
  std::string_view text;             // lower case, without control characters; valid until the next call
  const std::int32_t* at = nullptr;  // byte offset in the source of each byte of `text`
  std::uint8_t marks = 0;            // TokenMark bits of its first token
};

// A word is a run of letters, digits and bytes above 127, or one punctuation character. Control characters vanish inside and between words.
class WordScanner {
 public:
  // Throws: Error{data} when the text is 2 GiB or longer.
  explicit WordScanner(std::string_view source);
  [[nodiscard]] bool next(Word& word);  // false at the end

 private:
  void skip_spaces();
  std::string_view source_;
  std::size_t position_ = 0;
  std::uint8_t pending_marks_;
  bool after_stop_ = false;  // the last word was . ! or ?
  std::string text_;
  std::vector<std::int32_t> at_;
};

}  // namespace tributary
