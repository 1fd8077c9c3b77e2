#include "ingest/tokenizer_file.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view tokenizer_name = "tokenizer.json", config_name = "tokenizer_config.json";
// The fields of tokenizer_config.json that name special tokens, and the names that the rest of the program relies on.
constexpr std::array<std::pair<const char*, const char*>, 5> token_names{
    {{"pad_token", "[PAD]"}, {"unk_token", "[UNK]"}, {"cls_token", "[CLS]"}, {"sep_token", "[SEP]"}, {"mask_token", "[MASK]"}}};
constexpr std::array<std::string_view, 6> bert_classes{"BertTokenizer",           "BertTokenizerFast", "DistilBertTokenizer",
                                                       "DistilBertTokenizerFast", "ElectraTokenizer",  "ElectraTokenizerFast"};

// One JSON file being read, with the words for what is wrong with it.
class Document {
 public:
  Document(const std::string& text, const std::string& where, std::string_view name)
      : name_(where.ends_with(name) ? where : fmt::format("{} ({})", where, name)) {
    try {
      json_ = OrderedJson::parse(text);
    } catch (const nlohmann::json::exception&) {
      fail(ErrorKind::data, "{}: not a JSON document", name_);
    }
    if (!json_.is_object()) fail(ErrorKind::data, "{}: not a JSON object", name_);
  }

  [[noreturn]] void refuse(const std::string& field, const std::string& expected, const OrderedJson& found) const {
    fail(ErrorKind::data, "{}: {}: expected {}, found {}; such a tokenizer cannot be reproduced exactly", name_, field, expected, shortened(found));
  }

  // Null where a key of the dotted path is missing.
  [[nodiscard]] OrderedJson at(const std::string& path) const {
    const OrderedJson* value = &json_;
    for (std::size_t from = 0; from < path.size();) {
      const std::size_t dot = std::min(path.find('.', from), path.size());
      const auto found = value->is_object() ? value->find(path.substr(from, dot - from)) : value->end();
      if (!value->is_object() || found == value->end()) return {};
      value = &*found;
      from = dot + 1;
    }
    return *value;
  }

  void require(const std::string& path, const OrderedJson& expected) const {
    if (const OrderedJson found = at(path); found != expected) refuse(path, expected.dump(), found);
  }

  [[nodiscard]] bool boolean(const std::string& path, bool otherwise) const {
    const OrderedJson found = at(path);
    if (!found.is_null() && !found.is_boolean()) refuse(path, "true or false", found);
    return found.is_null() ? otherwise : found.get<bool>();
  }

  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  static std::string shortened(const OrderedJson& json) {
    constexpr std::size_t most = 80;
    const std::string text = json.is_null() ? "nothing" : json.dump();
    return text.size() <= most ? text : text.substr(0, most) + "...";
  }

  OrderedJson json_;
  std::string name_;
};

// The tokens in order of their numbers, which must be 0, 1, 2, ...
std::vector<std::string> numbered_vocabulary(const Document& document) {
  const OrderedJson entries = document.at("model.vocab");
  if (!entries.is_object() || entries.empty()) document.refuse("model.vocab", "tokens with their numbers", entries);
  std::vector<std::string> vocabulary(entries.size());
  std::vector<bool> taken(entries.size());
  for (const auto& [token, id] : entries.items()) {
    const auto place = id.is_number_unsigned() ? id.get<std::size_t>() : taken.size();
    if (place >= taken.size() || taken[place]) document.refuse("model.vocab: '" + token + "'", fmt::format("a number of its own below {}", taken.size()), id);
    taken[place] = true;
    vocabulary[place] = token;
  }
  return vocabulary;
}

// A token outside the model's vocabulary may be added at its end when no word can ever look like it.
bool never_a_piece(const std::string& token, const std::string& continuing_prefix) {
  const auto first = static_cast<unsigned char>(token[0]);
  return token.size() > 1 && first < 128 && std::ispunct(first) != 0 && (continuing_prefix.empty() || !token.starts_with(continuing_prefix));
}

void require_plain_flags(const Document& document, const std::string& field, const OrderedJson& token) {
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
    if (token.value(flag, OrderedJson(false)) != OrderedJson(false)) document.refuse(field + "." + flag, "false", token[flag]);
}

void add_special_tokens(const Document& document, TokenizerSpec& spec) {
  spec.options.special_tokens.clear();
  const OrderedJson tokens = document.at("added_tokens");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string field = fmt::format("added_tokens[{}]", i);
    const OrderedJson& token = tokens[i];
    if (!token.is_object() || !token.contains("content") || !token["content"].is_string() || token["content"].get<std::string>().empty())
      document.refuse(field, "a token with a content", token);
    require_plain_flags(document, field, token);
    const auto content = token["content"].get<std::string>();
    const auto place = static_cast<std::size_t>(std::find(spec.vocabulary.begin(), spec.vocabulary.end(), content) - spec.vocabulary.begin());
    if (token.value("id", OrderedJson()) != OrderedJson(place))
      document.refuse(field + ".id", fmt::format("{} for '{}'", place, content), token.value("id", OrderedJson()));
    if (place == spec.vocabulary.size()) {
      if (!never_a_piece(content, spec.options.continuing_prefix)) document.refuse(field, "a token of model.vocab, or one that begins with punctuation", token);
      spec.vocabulary.push_back(content);
    }
    if (std::find(spec.options.special_tokens.begin(), spec.options.special_tokens.end(), content) != spec.options.special_tokens.end())
      document.refuse(field, "every added token once", token);
    spec.options.special_tokens.push_back(content);
  }
}

// [CLS], the text, [SEP]: what the batches put around each window.
void require_cls_and_sep(const Document& document) {
  const OrderedJson type = document.at("post_processor.type");
  if (document.at("post_processor").is_null()) return;
  if (type == "BertProcessing") {
    for (const auto& [key, name] : {std::pair("cls", "[CLS]"), std::pair("sep", "[SEP]")})
      if (const OrderedJson found = document.at(std::string("post_processor.") + key); !found.is_array() || found.empty() || found[0] != name)
        document.refuse(std::string("post_processor.") + key, name, found);
    return;
  }
  if (type != "TemplateProcessing") document.refuse("post_processor.type", "\"BertProcessing\" or \"TemplateProcessing\"", type);
  std::vector<std::string> order;
  for (const OrderedJson& piece : document.at("post_processor.single"))
    for (const auto& [kind, value] : piece.items()) order.push_back(value.value("id", std::string()));
  if (order != std::vector<std::string>{"[CLS]", "A", "[SEP]"})
    document.refuse("post_processor.single", "[CLS], the text, [SEP]", document.at("post_processor.single"));
}

TokenizerSpec from_tokenizer_json(const Document& document) {
  TokenizerSpec spec;
  document.require("model.type", "WordPiece");
  document.require("model.unk_token", "[UNK]");
  document.require("normalizer.type", "BertNormalizer");
  document.require("pre_tokenizer.type", "BertPreTokenizer");
  require_cls_and_sep(document);
  spec.options.clean_text = document.boolean("normalizer.clean_text", true);
  spec.options.handle_chinese_chars = document.boolean("normalizer.handle_chinese_chars", true);
  spec.options.lowercase = document.boolean("normalizer.lowercase", true);
  spec.options.strip_accents = document.boolean("normalizer.strip_accents", spec.options.lowercase);
  const OrderedJson prefix = document.at("model.continuing_subword_prefix"), longest = document.at("model.max_input_chars_per_word");
  if (!prefix.is_string()) document.refuse("model.continuing_subword_prefix", "a text", prefix);
  if (!longest.is_number_unsigned() || longest == 0) document.refuse("model.max_input_chars_per_word", "a number above 0", longest);
  spec.options.continuing_prefix = prefix.get<std::string>();
  spec.options.max_word_chars = longest.get<std::int64_t>();
  spec.vocabulary = numbered_vocabulary(document);
  add_special_tokens(document, spec);
  return spec;
}

// What tokenizer_config.json says beside the tokenizer itself.
void check_config(const Document& config, const TokenizerOptions& options) {
  if (!config.boolean("do_basic_tokenize", true)) config.refuse("do_basic_tokenize", "true", false);
  if (const OrderedJson kept = config.at("never_split"); !kept.is_null() && !kept.empty()) config.refuse("never_split", "nothing", kept);
  for (const auto& [field, name] : token_names) {
    const OrderedJson found = config.at(field);
    const OrderedJson content = found.is_object() ? found.value("content", OrderedJson()) : found;
    if (!content.is_null() && content != name) config.refuse(field, name, content);
  }
  const OrderedJson added = config.at("added_tokens_decoder");
  for (const auto& [id, token] : added.items()) {
    const std::string field = "added_tokens_decoder." + id;
    if (!token.is_object()) config.refuse(field, "a token", token);
    require_plain_flags(config, field, token);
    const auto& known = options.special_tokens;
    if (std::find(known.begin(), known.end(), token.value("content", std::string())) == known.end()) config.refuse(field, "one of the special tokens", token);
  }
}

// With tokenizer.json, which decides: the fields that both have must agree.
void require_agreement(const Document& config, const TokenizerOptions& options) {
  for (const auto& [field, value] : {std::pair("do_lower_case", options.lowercase), std::pair("tokenize_chinese_chars", options.handle_chinese_chars),
                                     std::pair("strip_accents", options.strip_accents), std::pair("clean_text", options.clean_text)})
    if (const OrderedJson found = config.at(field); !found.is_null() && found != OrderedJson(value))
      config.refuse(field, fmt::format("{} as in {}", value, tokenizer_name), found);
}

TokenizerOptions options_from_config(const Document& config) {
  const OrderedJson kind = config.at("tokenizer_class");
  if (!kind.is_null() && std::find(bert_classes.begin(), bert_classes.end(), kind) == bert_classes.end())
    config.refuse("tokenizer_class", "\"BertTokenizer\"", kind);
  TokenizerOptions options;
  options.lowercase = config.boolean("do_lower_case", true);
  options.strip_accents = config.boolean("strip_accents", options.lowercase);
  options.handle_chinese_chars = config.boolean("tokenize_chinese_chars", true);
  options.clean_text = config.boolean("clean_text", true);
  return options;
}

void refuse_capitals(const std::vector<std::string>& vocabulary, const std::string& where) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string& token = vocabulary[i];
    const bool capital = std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (capital && !(token.starts_with('[') && token.ends_with(']')))
      fail(ErrorKind::data, "{}: token {} has a capital, which a lower-casing tokenizer never meets; put a {} with do_lower_case beside it", where, i,
           config_name);
  }
}

std::string read_if_there(const std::filesystem::path& path) {
  std::error_code code;
  return std::filesystem::exists(path, code) ? read_file(path) : std::string();
}

}  // namespace

TokenizerFiles tokenizer_files(const std::filesystem::path& path) {
  TokenizerFiles files;
  std::error_code code;
  const bool folder = std::filesystem::is_directory(path, code);
  files.where = path.string();
  files.config = read_if_there((folder ? path : path.parent_path()) / config_name);
  if (!folder) {
    (path.extension() == ".json" ? files.tokenizer : files.vocabulary) = read_file(path);
    return files;
  }
  files.tokenizer = read_if_there(path / tokenizer_name);
  files.vocabulary = read_if_there(path / "vocab.txt");
  if (files.tokenizer.empty() && files.vocabulary.empty())
    fail(ErrorKind::missing, "{}: neither tokenizer.json nor vocab.txt in this folder; name a tokenizer's file or its folder", path.string());
  return files;
}

TokenizerSpec parse_tokenizer(const TokenizerFiles& files) {
  TokenizerSpec spec;
  if (!files.tokenizer.empty()) {
    spec = from_tokenizer_json(Document(files.tokenizer, files.where, tokenizer_name));
    if (files.config.empty()) return spec;
    const Document config(files.config, files.where, config_name);
    check_config(config, spec.options);
    require_agreement(config, spec.options);
    return spec;
  }
  spec.vocabulary = vocabulary_from_lines(files.vocabulary);
  bool said = false;
  if (!files.config.empty()) {
    const Document config(files.config, files.where, config_name);
    spec.options = options_from_config(config);
    check_config(config, spec.options);
    said = !config.at("do_lower_case").is_null();
  }
  if (!said) refuse_capitals(spec.vocabulary, files.where);
  return spec;
}

std::string tokenizer_json(const TokenizerSpec& spec) {
  const TokenizerOptions& options = spec.options;
  OrderedJson vocabulary = OrderedJson::object(), added = OrderedJson::array();
  for (std::size_t i = 0; i < spec.vocabulary.size(); ++i) vocabulary.push_back({spec.vocabulary[i], i});
  for (std::size_t i = 0; i < spec.vocabulary.size(); ++i)
    if (std::find(options.special_tokens.begin(), options.special_tokens.end(), spec.vocabulary[i]) != options.special_tokens.end())
      added.push_back(
          {{"id", i}, {"content", spec.vocabulary[i]}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  const SpecialTokens special = special_tokens(spec.vocabulary);
  const OrderedJson document = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", options.clean_text},
        {"handle_chinese_chars", options.handle_chinese_chars},
        {"strip_accents", options.strip_accents},
        {"lowercase", options.lowercase}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "BertProcessing"}, {"sep", OrderedJson::array({"[SEP]", special.sep})}, {"cls", OrderedJson::array({"[CLS]", special.cls})}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", options.continuing_prefix}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", options.continuing_prefix},
        {"max_input_chars_per_word", options.max_word_chars},
        {"vocab", vocabulary}}}};
  return document.dump(1) + "\n";
}

std::string tokenizer_config_json(const TokenizerSpec& spec) {
  OrderedJson document = {{"tokenizer_class", "BertTokenizer"},
                          {"do_lower_case", spec.options.lowercase},
                          {"strip_accents", spec.options.strip_accents},
                          {"tokenize_chinese_chars", spec.options.handle_chinese_chars},
                          {"clean_text", spec.options.clean_text}};
  for (const auto& [field, name] : token_names) document[field] = name;
  return document.dump(1) + "\n";
}

}  // namespace tributary
