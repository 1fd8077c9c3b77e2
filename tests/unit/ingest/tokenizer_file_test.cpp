#include "ingest/tokenizer_file.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

Json added(int id, const std::string& content) {
  return {{"id", id}, {"content", content}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json document() {
  return Json::parse(R"({
    "version": "1.0", "truncation": {"max_length": 128}, "padding": null,
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                                                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "##b": 6, "a": 5}},
    "added_tokens": []})");
}

TokenizerSpec parsed(const Json& json, const std::string& config = "") { return parse_tokenizer({"", json.dump(), config, "folder"}); }

template <class Change>
std::string refusal(const Change& change, const std::string& config = "") {
  Json json = document();
  change(json);
  try {
    (void)parsed(json, config);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::data ? error.what() : "another kind of error";
  }
  return "accepted";
}

TEST(TokenizerFile, takes_vocabulary_and_options_from_tokenizer_json) {
  Json json = document();
  json["normalizer"]["lowercase"] = false;
  json["model"]["max_input_chars_per_word"] = 50;
  json["added_tokens"] = Json::array({added(4, "[MASK]"), added(7, "[DRUG]")});
  const TokenizerSpec spec = parsed(json);
  EXPECT_THAT(spec.vocabulary, testing::ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "[DRUG]"));
  EXPECT_FALSE(spec.options.lowercase || spec.options.strip_accents);  // null follows lowercase
  EXPECT_TRUE(spec.options.clean_text && spec.options.handle_chinese_chars);
  EXPECT_EQ(spec.options.max_word_chars, 50);
  EXPECT_THAT(spec.options.special_tokens, testing::ElementsAre("[MASK]", "[DRUG]"));
}

TEST(TokenizerFile, refuses_by_name_what_it_cannot_reproduce) {
  EXPECT_EQ(refusal([](Json&) {}), "accepted");
  EXPECT_THAT(refusal([](Json& j) { j["model"]["type"] = "BPE"; }), HasSubstr("folder (tokenizer.json): model.type: expected \"WordPiece\", found \"BPE\""));
  EXPECT_THAT(refusal([](Json& j) { j["normalizer"]["type"] = "NFKC"; }), HasSubstr("normalizer.type"));
  EXPECT_THAT(refusal([](Json& j) { j["normalizer"] = nullptr; }), HasSubstr("normalizer.type: expected \"BertNormalizer\", found nothing"));
  EXPECT_THAT(refusal([](Json& j) { j["normalizer"]["lowercase"] = "yes"; }), HasSubstr("normalizer.lowercase"));
  EXPECT_THAT(refusal([](Json& j) { j["pre_tokenizer"]["type"] = "Whitespace"; }), HasSubstr("pre_tokenizer.type"));
  EXPECT_THAT(refusal([](Json& j) { j["post_processor"]["type"] = "RobertaProcessing"; }), HasSubstr("post_processor.type"));
  EXPECT_THAT(refusal([](Json& j) { j["post_processor"]["single"].erase(2); }), HasSubstr("post_processor.single"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["unk_token"] = "<unk>"; }), HasSubstr("model.unk_token"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["max_input_chars_per_word"] = 0; }), HasSubstr("model.max_input_chars_per_word"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["a"] = 9; }), HasSubstr("model.vocab: 'a': expected a number of its own below 7, found 9"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["a"] = 6; }), HasSubstr("model.vocab"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"] = Json::array({added(9, "[DRUG]")}); }), HasSubstr("added_tokens[0].id: expected 7"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"] = Json::array({added(7, "drug")}); }), HasSubstr("added_tokens[0]"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"] = Json::array({added(7, "##c")}); }), HasSubstr("added_tokens[0]"));
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
    EXPECT_THAT(refusal([&](Json& j) { (j["added_tokens"] = Json::array({added(4, "[MASK]")}))[0][flag] = true; }),
                HasSubstr(std::string("added_tokens[0].") + flag));
  EXPECT_THAT(
      [] {
        (void)parse_tokenizer({"", "{", "", "x/tokenizer.json"});
      },
      testing::ThrowsMessage<Error>(HasSubstr("x/tokenizer.json: not a JSON document")));
}

TEST(TokenizerFile, refuses_a_configuration_that_contradicts_the_tokenizer) {
  const auto keep = [](Json&) {};
  EXPECT_EQ(
      refusal(keep, R"({"do_lower_case": true, "strip_accents": null, "tokenizer_class": "PreTrainedTokenizerFast", "mask_token": {"content": "[MASK]"}})"),
      "accepted");
  EXPECT_THAT(refusal(keep, R"({"do_lower_case": false})"),
              HasSubstr("folder (tokenizer_config.json): do_lower_case: expected true as in tokenizer.json, found false"));
  EXPECT_THAT(refusal(keep, R"({"do_basic_tokenize": false})"), HasSubstr("do_basic_tokenize"));
  EXPECT_THAT(refusal(keep, R"({"never_split": ["x"]})"), HasSubstr("never_split"));
  EXPECT_THAT(refusal(keep, R"({"mask_token": "<mask>"})"), HasSubstr("mask_token: expected [MASK]"));
}

TEST(TokenizerFile, takes_a_vocabulary_with_its_configuration) {
  const std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nA\n##b\n";
  const TokenizerSpec cased = parse_tokenizer({vocabulary, "", R"({"do_lower_case": false, "tokenizer_class": "BertTokenizer"})", "folder"});
  EXPECT_FALSE(cased.options.lowercase || cased.options.strip_accents);
  EXPECT_EQ(cased.vocabulary.size(), 7U);
  const auto load = [&](const std::string& config) { (void)parse_tokenizer({vocabulary, "", config, "vocab.txt"}); };
  EXPECT_THAT([&] { load(""); }, testing::ThrowsMessage<Error>(HasSubstr("token 5 has a capital")));
  EXPECT_THAT([&] { load(R"({"do_lower_case": false, "tokenizer_class": "RobertaTokenizer"})"); }, testing::ThrowsMessage<Error>(HasSubstr("tokenizer_class")));
  EXPECT_THAT([&] { load(R"({"do_lower_case": false, "added_tokens_decoder": {"7": {"content": "[X]"}}})"); },
              testing::ThrowsMessage<Error>(HasSubstr("added_tokens_decoder.7")));
  EXPECT_EQ(parse_tokenizer({"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", "", "", "vocab.txt"}).options, TokenizerOptions{});
}

TEST(TokenizerFile, is_written_as_it_is_read) {
  TokenizerSpec spec{{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "@@b"}, {}};
  spec.options.lowercase = spec.options.strip_accents = spec.options.clean_text = false;
  spec.options.continuing_prefix = "@@";
  spec.options.max_word_chars = 7;
  const TokenizerSpec read = parse_tokenizer({"", tokenizer_json(spec), tokenizer_config_json(spec), "folder"});
  EXPECT_EQ(read.vocabulary, spec.vocabulary);
  EXPECT_EQ(read.options, spec.options);
}

TEST(TokenizerOptions, are_read_as_they_are_written) {
  TokenizerOptions options;
  options.lowercase = options.handle_chinese_chars = false;
  options.special_tokens = {"[MASK]"};
  options.max_word_chars = 12;
  EXPECT_EQ(tokenizer_options_from_json(to_json(options), "x"), options);
  EXPECT_THAT([] { (void)tokenizer_options_from_json("{}", "x"); }, testing::ThrowsMessage<Error>(HasSubstr("x: key 'clean_text'")));
}

}  // namespace
}  // namespace tributary
