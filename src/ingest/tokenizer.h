// Text to token ids. One interface; the implementation is lower-case ASCII WordPiece until the exact Unicode one exists.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shards/record_block.h"

namespace tributary {

struct SpecialTokens {
  std::int32_t pad = 0, unknown = 0, cls = 0, sep = 0, mask = 0;
};

struct Encoding {
  std::vector<std::int32_t> ids;    // without [CLS] and [SEP]
  std::vector<std::uint8_t> marks;  // TokenMark bits
  std::vector<std::int32_t> begin;  // byte offset of each token's first byte in the text
  std::vector<std::int32_t> end;    // and one past its last
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  [[nodiscard]] virtual Encoding encode(std::string_view text) const = 0;
  [[nodiscard]] virtual const SpecialTokens& special() const = 0;
  [[nodiscard]] virtual const std::vector<std::string>& vocabulary() const = 0;
  [[nodiscard]] virtual const std::string& digest() const = 0;  // 16 hex digits over kind, options and vocabulary
};

// Throws: Error{data} naming the special token that `vocabulary` lacks, or the first duplicate line.
[[nodiscard]] std::unique_ptr<Tokenizer> make_ascii_wordpiece(std::vector<std::string> vocabulary);

[[nodiscard]] SpecialTokens special_tokens(const std::vector<std::string>& vocabulary);  // Throws: Error{data}

// The tokens of a vocab.txt: one a line, with or without a carriage return; an empty line at the end is no token.
[[nodiscard]] std::vector<std::string> vocabulary_from_lines(std::string_view text);

// A vocabulary from word counts: special tokens, single characters (plain and with ##), then the most frequent words (ties: alphabetical) up to `size`.
[[nodiscard]] std::vector<std::string> vocabulary_from_counts(const std::map<std::string, std::int64_t>& word_counts, std::size_t size);

// The words as the tokenizer sees them before WordPiece: lower case, split at spaces and punctuation.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text);

}  // namespace tributary
