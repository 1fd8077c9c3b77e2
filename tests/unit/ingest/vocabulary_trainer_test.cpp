#include "ingest/vocabulary_trainer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

using testing::ElementsAre;

// Special tokens, ASCII without capitals, and the letters and digits again as pieces that continue a word.
constexpr std::size_t characters = 5 + 68 + 36;

std::vector<std::string> merges(const WordCounts& words, std::size_t count, std::int64_t min_count = 1) {
  VocabularyTraining training;
  training.size = characters + count;
  training.min_count = min_count;
  const auto vocabulary = train_vocabulary(words, training);
  EXPECT_GE(vocabulary.size(), characters);
  return {vocabulary.begin() + characters, vocabulary.end()};
}

TEST(VocabularyTrainer, merges_the_most_frequent_pair_first) {
  // Pairs: h ##u 15 (hug 10, hub 5), ##u ##g 22 (hug 10, pug 12), p ##u 17 (pug 12, pun 5), ##u ##n 5, ##u ##b 5.
  EXPECT_THAT(merges({{"hug", 10}, {"pug", 12}, {"pun", 5}, {"hub", 5}}, 3), ElementsAre("##ug", "pug", "hug"));
}

TEST(VocabularyTrainer, takes_the_pair_of_lower_pieces_among_equals) {
  EXPECT_THAT(merges({{"ab", 3}, {"cd", 3}, {"ba", 3}}, 3), ElementsAre("ab", "ba", "cd"));
}

TEST(VocabularyTrainer, counts_every_place_of_a_pair_in_a_word) { EXPECT_THAT(merges({{"xaaaa", 2}, {"yb", 5}}, 3), ElementsAre("##aa", "yb", "xaa")); }

TEST(VocabularyTrainer, stops_at_the_size_or_below_the_least_count) {
  EXPECT_EQ(merges({{"hug", 10}, {"pug", 12}}, 0).size(), 0U);
  EXPECT_THAT(merges({{"ab", 3}, {"cd", 2}}, 9, 3), ElementsAre("ab"));
  VocabularyTraining small;
  small.size = characters - 1;
  EXPECT_THAT([&] { (void)train_vocabulary({}, small); }, testing::ThrowsMessage<Error>(testing::HasSubstr("give at least 109")));
}

TEST(VocabularyTrainer, holds_the_frequent_characters_and_leaves_out_words_with_others) {
  VocabularyTraining training;
  training.most_characters = 68 + 1;
  training.min_count = 1;
  const auto vocabulary = train_vocabulary({{"\u03b1\u03b1", 5}, {"\u03b2x", 4}}, training);
  EXPECT_EQ(std::count(vocabulary.begin(), vocabulary.end(), "\u03b1\u03b1"), 1);
  EXPECT_TRUE(std::none_of(vocabulary.begin(), vocabulary.end(), [](const std::string& piece) { return piece.find("\u03b2") != std::string::npos; }));
}

TEST(VocabularyTrainer, holds_unused_tokens_behind_the_special_ones_where_they_are_asked_for) {
  VocabularyTraining training;
  training.unused = 2;
  training.size = characters + 2;
  const auto vocabulary = train_vocabulary({{"hug", 10}}, training);
  EXPECT_EQ((std::vector<std::string>(vocabulary.begin() + 4, vocabulary.begin() + 8)), (std::vector<std::string>{"[MASK]", "[unused1]", "[unused2]", "!"}));
  EXPECT_EQ(vocabulary.size(), characters + 2U);
  const auto tokenizer = make_tokenizer(vocabulary);
  const std::vector<std::int32_t> ids = tokenizer->encode("[unused1] [UNUSED2]").ids;
  EXPECT_TRUE(std::none_of(ids.begin(), ids.end(), [](std::int32_t id) { return id == 5 || id == 6; })) << "no text gives them";
  EXPECT_GT(ids.size(), 10U);
}

TEST(VocabularyTrainer, gives_a_vocabulary_that_spells_its_words) {
  WordCounts words;
  for (int i = 0; i < 500; ++i) words["word" + std::to_string(i * i)] = 1 + i % 7;
  VocabularyTraining training;
  training.size = 300;
  const auto tokenizer = make_tokenizer(train_vocabulary(words, training));
  EXPECT_EQ(tokenizer->vocabulary().size(), 300U);
  for (const auto& [word, count] : words) {
    const Encoding encoding = tokenizer->encode(word);
    EXPECT_EQ(std::count(encoding.ids.begin(), encoding.ids.end(), tokenizer->special().unknown), 0) << word;
    EXPECT_LT(encoding.ids.size(), word.size());
  }
}

}  // namespace
}  // namespace tributary
