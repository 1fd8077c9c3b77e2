// How the texts of a data set became tokens, beside its vocabulary: what a reader needs to tokenize in the same way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tributary {

// BERT's basic tokenizer and WordPiece. The defaults are those of bert-base-uncased.
struct TokenizerOptions {
  bool clean_text = true;            // control characters vanish, every white space becomes a blank
  bool handle_chinese_chars = true;  // each CJK ideograph is a word of its own
  bool strip_accents = true;         // canonical decomposition without its nonspacing marks
  bool lowercase = true;
  std::int64_t max_word_chars = 100;  // a longer word is unknown
  std::string continuing_prefix = "##";
  // Recognised wherever they stand in a text, before anything else; each is a token of the vocabulary.
  std::vector<std::string> special_tokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  bool operator==(const TokenizerOptions&) const = default;
};

// One line that is equal for equal options: JSON with the names above, in that order.
[[nodiscard]] std::string to_json(const TokenizerOptions& options);
[[nodiscard]] TokenizerOptions tokenizer_options_from_json(const std::string& json, const std::string& where);  // Throws: Error{data} naming the key

}  // namespace tributary
