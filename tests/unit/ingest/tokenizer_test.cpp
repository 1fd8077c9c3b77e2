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
  const auto tokenizer = make_ascii_wordpiece(small_vocabulary());
  EXPECT_THAT(tokens(*tokenizer, "Patient is UNSTABLE."), ElementsAre("patient", "is", "un", "##stable", "."));
  EXPECT_THAT(tokens(*tokenizer, "unstst 35"), ElementsAre("un", "##st", "##st", "3", "##5"));
}

TEST(Tokenizer, makes_a_word_with_any_unknown_part_one_unknown_token) {
  const auto tokenizer = make_ascii_wordpiece(small_vocabulary());
  EXPECT_THAT(tokens(*tokenizer, "is unstablez is"), ElementsAre("is", "[UNK]", "is"));
  EXPECT_THAT(tokens(*tokenizer, "caf\xc3\xa9 is"), ElementsAre("[UNK]", "is"));
  EXPECT_THAT(tokens(*tokenizer, "[MASK]"), ElementsAre("[UNK]", "[UNK]", "[UNK]"));  // text never becomes a special token of its name
}

TEST(Tokenizer, makes_words_over_100_bytes_unknown) {
  auto vocabulary = small_vocabulary();
  vocabulary.push_back("##s");
  const auto tokenizer = make_ascii_wordpiece(vocabulary);
  EXPECT_EQ(tokens(*tokenizer, std::string(100, 's')).size(), 100U);
  EXPECT_THAT(tokens(*tokenizer, std::string(101, 's')), ElementsAre("[UNK]"));
}

TEST(Tokenizer, gives_the_bytes_of_each_token) {
  const std::string text =
      "  is\x01 Unst\x02"
      "able.";
  const Encoding encoding = make_ascii_wordpiece(small_vocabulary())->encode(text);
  EXPECT_THAT(encoding.ids, ElementsAre(13, 7, 8, 5));
  EXPECT_THAT(encoding.begin, ElementsAre(2, 6, 8, 15));
  EXPECT_THAT(encoding.end, ElementsAre(4, 8, 15, 16));
}

TEST(Tokenizer, marks_sentences_after_stops_and_newlines_and_paragraphs_after_blank_lines) {
  const auto tokenizer = make_ascii_wordpiece(small_vocabulary());
  EXPECT_THAT(tokenizer->encode("is is. is\nis\n\nis").marks, ElementsAre(both, 0, 0, starts_sentence, starts_sentence, both));
  EXPECT_THAT(tokenizer->encode("is 3.35 is").marks, ElementsAre(both, 0, 0, 0, 0, 0));
  EXPECT_THAT(tokenizer->encode("is! \n \t\n is.").marks, ElementsAre(both, 0, both, 0));
  EXPECT_THAT(tokenizer->encode("\n\n  is").marks, ElementsAre(both));
  EXPECT_TRUE(tokenizer->encode("  \n\n ").ids.empty());
}

TEST(Tokenizer, has_a_digest_that_follows_the_vocabulary) {
  auto other = small_vocabulary();
  std::swap(other[7], other[8]);
  EXPECT_EQ(make_ascii_wordpiece(small_vocabulary())->digest(), make_ascii_wordpiece(small_vocabulary())->digest());
  EXPECT_NE(make_ascii_wordpiece(small_vocabulary())->digest(), make_ascii_wordpiece(other)->digest());
  EXPECT_EQ(make_ascii_wordpiece(other)->digest().size(), 16U);
}

TEST(Tokenizer, refuses_a_vocabulary_with_a_duplicate_or_without_a_special_token) {
  auto twice = small_vocabulary();
  twice.push_back("patient");
  EXPECT_THAT([&] { (void)make_ascii_wordpiece(twice); }, testing::ThrowsMessage<Error>(testing::HasSubstr("line 17 repeats 'patient'")));
  auto lacking = small_vocabulary();
  lacking[3] = "x";
  EXPECT_THAT([&] { (void)make_ascii_wordpiece(lacking); }, testing::ThrowsMessage<Error>(testing::HasSubstr("'[SEP]'")));
}

TEST(Vocabulary, holds_special_tokens_characters_and_the_most_frequent_words) {
  const auto all = vocabulary_from_counts({{"b", 9}, {"beta", 2}, {"alpha", 2}, {"gamma", 7}, {"rare", 1}}, 1000);
  ASSERT_EQ(all.size(), 5U + 32 + 36 + 36 + 4);
  EXPECT_THAT(std::vector(all.begin(), all.begin() + 5), ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
  EXPECT_THAT(std::vector(all.end() - 4, all.end()), ElementsAre("gamma", "alpha", "beta", "rare"));
  const auto cut = vocabulary_from_counts({{"beta", 2}, {"alpha", 2}, {"gamma", 7}}, 111);
  EXPECT_THAT(std::vector(cut.end() - 2, cut.end()), ElementsAre("gamma", "alpha"));
  EXPECT_THROW((void)vocabulary_from_counts({}, 50), Error);
  EXPECT_EQ(make_ascii_wordpiece(all)->encode("an unknown 12/3 word").ids.size(), 2U + 7 + 2 + 1 + 1 + 4);
}

TEST(Vocabulary, is_read_from_lines_of_either_kind) {
  EXPECT_THAT(vocabulary_from_lines("[PAD]\na\r\n##b\n"), ElementsAre("[PAD]", "a", "##b"));
  EXPECT_THAT(vocabulary_from_lines("a\n\nb"), ElementsAre("a", "", "b"));  // line numbers are token ids: none is skipped
  EXPECT_TRUE(vocabulary_from_lines("").empty());
}

TEST(SplitWords, cuts_at_spaces_and_around_punctuation) {
  EXPECT_THAT(split_words("BP 120/80,\tnon-Toxic\x7f\x01ly"), ElementsAre("bp", "120", "/", "80", ",", "non", "-", "toxicly"));
}

}  // namespace
}  // namespace tributary
