// Text to token ids: BERT's basic tokenizer and WordPiece, with the ids and places of Hugging Face's `tokenizers`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shards/record_block.h"
#include "shards/tokenizer_options.h"

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
  // Bytes that are not UTF-8 count as U+FFFD. A special token's name in the text gives that token.
  // Throws: Error{data} when the text is 2 GiB or longer.
  virtual void encode(std::string_view text, Encoding& into) const = 0;  // replaces what `into` held and reuses its memory
  [[nodiscard]] Encoding encode(std::string_view text) const {
    Encoding encoding;
    encode(text, encoding);
    return encoding;
  }
  [[nodiscard]] virtual const SpecialTokens& special() const = 0;
  [[nodiscard]] virtual const std::vector<std::string>& vocabulary() const = 0;
  [[nodiscard]] virtual const TokenizerOptions& options() const = 0;
  [[nodiscard]] virtual const std::string& digest() const = 0;  // 16 hex digits over options and vocabulary
};

// Throws: Error{data} naming the special token that `vocabulary` lacks, the first duplicate line, or the line that is not UTF-8.
[[nodiscard]] std::unique_ptr<Tokenizer> make_tokenizer(std::vector<std::string> vocabulary, const TokenizerOptions& options = {});

[[nodiscard]] SpecialTokens special_tokens(const std::vector<std::string>& vocabulary);  // Throws: Error{data}

// The tokens of a vocab.txt: one a line, with or without a carriage return; an empty line at the end is no token.
[[nodiscard]] std::vector<std::string> vocabulary_from_lines(std::string_view text);

// A vocabulary from word counts: special tokens, single characters (plain and with ##), then the most frequent words (ties: alphabetical) up to `size`.
[[nodiscard]] std::vector<std::string> vocabulary_from_counts(const std::map<std::string, std::int64_t>& word_counts, std::size_t size);

// The words as the tokenizer sees them before WordPiece, without special tokens.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text, const TokenizerOptions& options = {});

}  // namespace tributary
