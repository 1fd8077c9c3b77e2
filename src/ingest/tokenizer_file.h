// Tokenizers as the ecosystem stores them: vocab.txt with tokenizer_config.json, or tokenizer.json.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shards/tokenizer_options.h"

namespace tributary {

struct TokenizerSpec {
  std::vector<std::string> vocabulary;
  TokenizerOptions options;
};

// The texts of a tokenizer's files; empty where there is no such file. `where` names the file or folder in messages.
struct TokenizerFiles {
  std::string vocabulary;  // vocab.txt
  std::string tokenizer;   // tokenizer.json; comes before vocab.txt
  std::string config;      // tokenizer_config.json; must not contradict tokenizer.json
  std::string where;
};

// The texts of `path`, a vocab.txt, a tokenizer.json or the folder of one of them, and of the tokenizer_config.json beside it.
// Throws: Error{missing} where there is none, Error{io}.
[[nodiscard]] TokenizerFiles tokenizer_files(const std::filesystem::path& path);

// WordPiece under BertNormalizer and BertPreTokenizer. Truncation, padding and decoding are not the tokenizer's business here; everything else that would
// give other tokens is refused. A vocab.txt without tokenizer_config.json is lower-case, so one with capitals is refused, too.
// Throws: Error{data} naming file, field, what was expected and what was found.
[[nodiscard]] TokenizerSpec parse_tokenizer(const TokenizerFiles& files);

// tokenizer.json and tokenizer_config.json for `spec`, as Hugging Face's tools read them.
[[nodiscard]] std::string tokenizer_json(const TokenizerSpec& spec);
[[nodiscard]] std::string tokenizer_config_json(const TokenizerSpec& spec);

}  // namespace tributary
