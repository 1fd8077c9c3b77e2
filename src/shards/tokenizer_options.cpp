#include "shards/tokenizer_options.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tributary {

std::string to_json(const TokenizerOptions& options) {
  return nlohmann::ordered_json{{"clean_text", options.clean_text},         {"handle_chinese_chars", options.handle_chinese_chars},
                                {"strip_accents", options.strip_accents},   {"lowercase", options.lowercase},
                                {"max_word_chars", options.max_word_chars}, {"continuing_prefix", options.continuing_prefix},
                                {"special_tokens", options.special_tokens}}
      .dump();
}

TokenizerOptions tokenizer_options_from_json(const std::string& text, const std::string& where) {
  TokenizerOptions options;
  const char* key = "";
  try {
    const auto json = nlohmann::json::parse(text);
    const auto take = [&](const char* name, auto& value) { json.at(key = name).get_to(value); };
    take("clean_text", options.clean_text);
    take("handle_chinese_chars", options.handle_chinese_chars);
    take("strip_accents", options.strip_accents);
    take("lowercase", options.lowercase);
    take("max_word_chars", options.max_word_chars);
    take("continuing_prefix", options.continuing_prefix);
    take("special_tokens", options.special_tokens);
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::data, "{}: key '{}' is missing or has an unexpected value", where, key);
  }
  return options;
}

}  // namespace tributary
