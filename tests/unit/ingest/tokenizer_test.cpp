#include "ingest/tokenizer.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace tributary {
namespace {

using testing::ElementsAre;

constexpr std::uint8_t both = starts_sentence | starts_paragraph;

std::vector<std::string> small_vocabulary() {
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "patient", "un", "##stable", "##st", "##able", "3", "##5", "is", "!", "s"};
}

std::vector<std::string> tokens(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> result;
  for (const std::int32_t id : tokenizer.encode(text).ids) result.push_back(tokenizer.vocabulary()[static_cast<std::size_t>(id)]);
  return result;
}

TEST(Tokenizer, takes_the_longest_piece_first_in_lower_case) {
  const auto tokenizer = make_tokenizer(small_vocabulary());
  EXPECT_THAT(tokens(*tokenizer, "Patient is UNSTABLE."), ElementsAre("patient", "is", "un", "##stable", "."));
  EXPECT_THAT(tokens(*tokenizer, "unstst 35"), ElementsAre("un", "##st", "##st", "3", "##5"));
}

TEST(Tokenizer, makes_a_word_with_any_unknown_part_one_unknown_token) {
  const auto tokenizer = make_tokenizer(small_vocabulary());
  EXPECT_THAT(tokens(*tokenizer, "is unstablez is"), ElementsAre("is", "[UNK]", "is"));
  EXPECT_THAT(tokens(*tokenizer, "caf\xc3\xa9 is"), ElementsAre("[UNK]", "is"));
}

TEST(Tokenizer, takes_a_special_token_by_its_exact_name_wherever_it_stands) {
  const auto tokenizer = make_tokenizer(small_vocabulary());
  EXPECT_THAT(tokens(*tokenizer, "is[MASK]is"), ElementsAre("is", "[MASK]", "is"));
  EXPECT_THAT(tokens(*tokenizer, "[mask]"), ElementsAre("[UNK]", "[UNK]", "[UNK]"));
  const Encoding encoding = tokenizer->encode("[[SEP] is.");
  EXPECT_THAT(encoding.begin, ElementsAre(0, 1, 7, 9));
  EXPECT_THAT(encoding.end, ElementsAre(1, 6, 9, 10));
  TokenizerOptions none;
  none.special_tokens.clear();
  EXPECT_THAT(tokens(*make_tokenizer(small_vocabulary(), none), "[MASK]"), ElementsAre("[UNK]", "[UNK]", "[UNK]"));
}

TEST(Tokenizer, normalises_as_its_options_say) {
  auto vocabulary = small_vocabulary();
  for (const char* piece : {"e", "##e", "E", "\u00e9", "##\u00e9", "e\u0301", "\u4e00", "##\u4e00", "a", "b", "##b", "ab"}) vocabulary.emplace_back(piece);
  const auto with = [&](auto&& change) {
    TokenizerOptions options;
    change(options);
    return make_tokenizer(vocabulary, options);
  };
  const auto plain = make_tokenizer(vocabulary);
  EXPECT_THAT(tokens(*plain, "\u00c9 E\u0301 e"), ElementsAre("e", "e", "e"));
  EXPECT_THAT(tokens(*plain, "a\u4e00\u4e00b"), ElementsAre("a", "\u4e00", "\u4e00", "b"));
  EXPECT_THAT(tokens(*plain, "a\u200bb\u00a0a\xff"), ElementsAre("ab", "a"));
  EXPECT_THAT(tokens(*plain, "a\vb a\u0085b"), ElementsAre("ab", "ab"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.strip_accents = false; }), "\u00c9 e\u0301"), ElementsAre("\u00e9", "e\u0301"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.lowercase = false; }), "E Patient \u00c9"), ElementsAre("E", "[UNK]", "E"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.handle_chinese_chars = false; }), "\u4e00\u4e00"), ElementsAre("\u4e00", "##\u4e00"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.clean_text = false; }), "a\u200bb a\vb"), ElementsAre("[UNK]", "a", "b"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.max_word_chars = 2; }), "ab abb"), ElementsAre("ab", "[UNK]"));
  EXPECT_THAT(tokens(*with([](TokenizerOptions& o) { o.continuing_prefix = ""; }), "ab35 see"), ElementsAre("[UNK]", "s", "e", "e"));
}

TEST(Tokenizer, gives_the_source_bytes_of_normalised_tokens) {
  auto vocabulary = small_vocabulary();
  for (const char* piece : {"cafe", "##s", "i\u0307"}) vocabulary.emplace_back(piece);
  const Encoding encoding = make_tokenizer(vocabulary)->encode("x caf\u00c9s \u2028is");
  EXPECT_THAT(encoding.begin, ElementsAre(0, 2, 7, 12));
  EXPECT_THAT(encoding.end, ElementsAre(1, 7, 8, 14));
}

TEST(Tokenizer, reuses_an_encoding_of_any_former_size) {
  const auto tokenizer = make_tokenizer(small_vocabulary());
  Encoding encoding = tokenizer->encode("is is is is is is is is is is is is is is is is is is is is is is is is");
  tokenizer->encode("is 35", encoding);
  EXPECT_THAT(encoding.ids, ElementsAre(13, 11, 12));
  EXPECT_EQ(encoding.marks.size(), 3U);
  tokenizer->encode("", encoding);
  EXPECT_TRUE(encoding.ids.empty() && encoding.end.empty());
}

TEST(Tokenizer, makes_words_over_100_bytes_unknown) {
  auto vocabulary = small_vocabulary();
  vocabulary.push_back("##s");
  const auto tokenizer = make_tokenizer(vocabulary);
  EXPECT_EQ(tokens(*tokenizer, std::string(100, 's')).size(), 100U);
  EXPECT_THAT(tokens(*tokenizer, std::string(101, 's')), ElementsAre("[UNK]"));
}

TEST(Tokenizer, gives_the_bytes_of_each_token) {
  const std::string text =
      "  is\x01 Unst\x02"
      "able.";
  const Encoding encoding = make_tokenizer(small_vocabulary())->encode(text);
  EXPECT_THAT(encoding.ids, ElementsAre(13, 7, 8, 5));
  EXPECT_THAT(encoding.begin, ElementsAre(2, 6, 8, 15));
  EXPECT_THAT(encoding.end, ElementsAre(4, 8, 15, 16));
}

TEST(Tokenizer, marks_sentences_after_stops_and_newlines_and_paragraphs_after_blank_lines) {
  const auto tokenizer = make_tokenizer(small_vocabulary());
  EXPECT_THAT(tokenizer->encode("is is. is\nis\n\nis").marks, ElementsAre(both, 0, 0, starts_sentence, starts_sentence, both));
  EXPECT_THAT(tokenizer->encode("is 3.35 is").marks, ElementsAre(both, 0, 0, 0, 0, 0));
  EXPECT_THAT(tokenizer->encode("is! \n \t\n is.").marks, ElementsAre(both, 0, both, 0));
  EXPECT_THAT(tokenizer->encode("\n\n  is").marks, ElementsAre(both));
  EXPECT_TRUE(tokenizer->encode("  \n\n ").ids.empty());
}

TEST(Tokenizer, has_a_digest_that_follows_vocabulary_and_options) {
  auto other = small_vocabulary();
  std::swap(other[7], other[8]);
  EXPECT_EQ(make_tokenizer(small_vocabulary())->digest(), make_tokenizer(small_vocabulary())->digest());
  EXPECT_NE(make_tokenizer(small_vocabulary())->digest(), make_tokenizer(other)->digest());
  EXPECT_EQ(make_tokenizer(other)->digest().size(), 16U);
  TokenizerOptions cased;
  cased.lowercase = false;
  EXPECT_NE(make_tokenizer(other)->digest(), make_tokenizer(other, cased)->digest());
}

TEST(Tokenizer, refuses_a_vocabulary_with_a_duplicate_or_without_a_special_token) {
  auto twice = small_vocabulary();
  twice.push_back("patient");
  EXPECT_THAT([&] { (void)make_tokenizer(twice); }, testing::ThrowsMessage<Error>(testing::HasSubstr("line 17 repeats 'patient'")));
  auto lacking = small_vocabulary();
  lacking[3] = "x";
  EXPECT_THAT([&] { (void)make_tokenizer(lacking); }, testing::ThrowsMessage<Error>(testing::HasSubstr("'[SEP]'")));
  auto broken = small_vocabulary();
  broken[6] = "\xc3";
  EXPECT_THAT([&] { (void)make_tokenizer(broken); }, testing::ThrowsMessage<Error>(testing::HasSubstr("line 7 is not UTF-8")));
}

TEST(Vocabulary, holds_special_tokens_characters_and_the_most_frequent_words) {
  const auto all = vocabulary_from_counts({{"b", 9}, {"beta", 2}, {"alpha", 2}, {"gamma", 7}, {"rare", 1}}, 1000);
  ASSERT_EQ(all.size(), 5U + 32 + 36 + 36 + 4);
  EXPECT_THAT(std::vector(all.begin(), all.begin() + 5), ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
  EXPECT_THAT(std::vector(all.end() - 4, all.end()), ElementsAre("gamma", "alpha", "beta", "rare"));
  const auto cut = vocabulary_from_counts({{"beta", 2}, {"alpha", 2}, {"gamma", 7}}, 111);
  EXPECT_THAT(std::vector(cut.end() - 2, cut.end()), ElementsAre("gamma", "alpha"));
  EXPECT_THROW((void)vocabulary_from_counts({}, 50), Error);
  EXPECT_EQ(make_tokenizer(all)->encode("an unknown 12/3 word").ids.size(), 2U + 7 + 2 + 1 + 1 + 4);
}

TEST(Vocabulary, is_read_from_lines_of_either_kind) {
  EXPECT_THAT(vocabulary_from_lines("[PAD]\na\r\n##b\n"), ElementsAre("[PAD]", "a", "##b"));
  EXPECT_THAT(vocabulary_from_lines("a\n\nb"), ElementsAre("a", "", "b"));  // line numbers are token ids: none is skipped
  EXPECT_TRUE(vocabulary_from_lines("").empty());
}

TEST(SplitWords, cuts_at_spaces_and_around_punctuation) {
  EXPECT_THAT(split_words("BP 120/80,\tnon-Toxic\x7f\x01ly"), ElementsAre("bp", "120", "/", "80", ",", "non", "-", "toxicly"));
  EXPECT_THAT(split_words("\u00c9t\u00e9 \u00c5[SEP]B"), ElementsAre("ete", "a", "b"));
}

}  // namespace
}  // namespace tributary
