#include "ingest/dictionary.h"

#include <gmock/gmock.h>

#include <map>

#include "base/error.h"
#include "base/key.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string terms =
    "# of a test\n"
    "heart attack\tC1\tdisease\r\n"
    "attack\tC2\tdisease\n"
    "beta-blocker\tC3\tdrug\n"
    "MS\tC4\tdisease\n"
    "ms\tC5\tdrug\n"
    "\n"
    "allergy\tC6\tdisease\n"
    "stress\tC7\tdisease\n"
    "Naloxone (hydrochloride)\tC8\tdrug\n"
    "na\xc3\xafve\tC9\tdrug\n"
    "heart attack of the left side\tC10\tdisease\n"
    "cat\tC11\tanimal\n"
    "attack\tC12\tdrug\n"
    "P53\tC13\tdrug\n";

const Dictionary& dictionary() {
  static const Dictionary made(terms, {"disease", "drug"}, "terms.tsv");
  return made;
}

// "<text found>=<id>/<type>"
std::vector<std::string> found(const std::string& text, const Dictionary& in = dictionary()) {
  std::vector<std::string> list;
  for (const DictionaryMatch& match : in.find(text)) {
    const DictionaryEntry& entry = in.entry(match);
    list.push_back(text.substr(static_cast<std::size_t>(match.begin), static_cast<std::size_t>(match.end - match.begin)) + "=" + entry.id + "/" +
                   std::to_string(entry.type));
  }
  return list;
}

TEST(Dictionary, the_longest_term_wins_and_matches_do_not_overlap) {
  EXPECT_THAT(found("A heart attack, an attack"), ElementsAre("heart attack=C1/0", "attack=C2/0"));
  EXPECT_THAT(found("heart attack of the left lung; heart attack of the left side."), ElementsAre("heart attack=C1/0", "heart attack of the left side=C10/0"));
  EXPECT_THAT(found("heart heart attack attack"), ElementsAre("heart attack=C1/0", "attack=C2/0"));
  EXPECT_THAT(found(""), IsEmpty());
  EXPECT_THAT(found("nothing here"), IsEmpty());
}

TEST(Dictionary, only_whole_words_count_whatever_their_case_and_number) {
  EXPECT_THAT(found("counterattack attacker"), IsEmpty());
  EXPECT_THAT(found("HEART  ATTACKS\nAttack"), ElementsAre("HEART  ATTACKS=C1/0", "Attack=C2/0"));
  EXPECT_THAT(found("Allergies, allergy, allergys"), ElementsAre("Allergies=C6/0", "allergy=C6/0", "allergys=C6/0"));
  EXPECT_THAT(found("stress stres stresss"), ElementsAre("stress=C7/0"));
  EXPECT_THAT(found("beta blockers, Beta-Blocker, beta--blocker, betablocker"), ElementsAre("beta blockers=C3/1", "Beta-Blocker=C3/1", "beta--blocker=C3/1"));
  EXPECT_THAT(found("naloxone (hydrochloride) naloxone hydrochloride"), ElementsAre("naloxone (hydrochloride)=C8/1"));
  EXPECT_THAT(found("a na\xc3\xafve na\xc3\xafves"), ElementsAre("na\xc3\xafve=C9/1", "na\xc3\xafves=C9/1"));
}

TEST(Dictionary, abbreviations_are_found_in_their_own_spelling_alone) {
  EXPECT_THAT(found("MS ms Ms"), ElementsAre("MS=C4/0", "ms=C5/1", "Ms=C5/1"));
  EXPECT_THAT(found("p53 P53"), ElementsAre("P53=C13/1"));
}

TEST(Dictionary, abbreviations_that_differ_by_a_last_s_are_different_terms) {
  const Dictionary dictionary("\xEF\xBB\xBFSARS\tC1\tdisease\nSAR\tC2\tdisease\nSARS\tC3\tdisease\nsar\tC4\tdisease\n", {"disease"}, "terms.tsv");
  std::vector<std::string> ids;
  for (const DictionaryMatch& match : dictionary.find("SARS SAR sars Sar")) ids.push_back(dictionary.entry(match).id);
  EXPECT_THAT(ids, ElementsAre("C1", "C2", "C4", "C4"));
}

TEST(Dictionary, lines_that_are_none_are_named) {
  const auto message = [](const std::string& tsv) -> std::string {
    try {
      const Dictionary made(tsv, {"disease"}, "terms.tsv");
      return std::to_string(made.terms());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
  };
  EXPECT_EQ(message("a\tb\tdisease\nc\td\tother\n - \tX\tdisease\n"), "1");
  EXPECT_THAT(message("a\tb\tdisease\nc d\n"), HasSubstr("terms.tsv:2: expected term"));
  EXPECT_THAT(message("#\n\t1\tdisease\n"), HasSubstr("terms.tsv:2: expected term"));
  EXPECT_THAT(message("x\t\tdisease\n"), HasSubstr("terms.tsv:1: the term or"));
  EXPECT_THAT(message("a\tb\tdisease\nM\xE9ni\xE8re\tC\tdisease\n"), HasSubstr("terms.tsv:2: the line is not UTF-8"));
}

// Many random terms of few words, against the definition: from each word on, the longest sequence of words that is a term.
TEST(Dictionary, equals_the_definition_on_random_words) {
  const auto draw = [](std::uint64_t at, std::uint64_t below) { return static_cast<std::size_t>(uniform(Key{11, 4}, at) * static_cast<double>(below)); };
  std::vector<std::string> words;
  for (char a = 'a'; a <= 'l'; ++a) words.push_back(std::string(1, a) + "x");
  std::map<std::vector<std::string>, std::string> by_words;
  std::string tsv;
  std::uint64_t at = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::string> term;
    for (std::size_t n = 1 + draw(at++, 4); n > 0; --n) term.push_back(words[draw(at++, words.size() - 4)]);
    std::string line;
    for (const std::string& word : term) line += (line.empty() ? "" : " ") + word;
    tsv += line + "\tT" + std::to_string(i) + "\tdisease\n";
    by_words.emplace(term, std::string("T").append(std::to_string(i)));
  }
  const Dictionary made(tsv, {"disease"}, "random");
  EXPECT_EQ(made.terms(), by_words.size());
  std::size_t matched = 0;
  for (int text_number = 0; text_number < 50; ++text_number) {
    std::vector<std::string> text;
    for (int i = 0; i < 60; ++i) text.push_back(words[draw(at++, words.size())]);
    std::string joined;
    for (const std::string& word : text) joined += word + " ";
    std::vector<std::string> expected;
    for (std::size_t first = 0; first < text.size();) {
      std::size_t longest = 0;
      for (std::size_t n = 1; n <= 4 && first + n <= text.size(); ++n)
        if (by_words.contains({text.begin() + static_cast<std::ptrdiff_t>(first), text.begin() + static_cast<std::ptrdiff_t>(first + n)})) longest = n;
      if (longest > 0) {
        std::string own;
        for (std::size_t k = first; k < first + longest; ++k) own += (k > first ? " " : "") + text[k];
        expected.push_back(
            own + "=" + by_words.at({text.begin() + static_cast<std::ptrdiff_t>(first), text.begin() + static_cast<std::ptrdiff_t>(first + longest)}) + "/0");
      }
      first += std::max<std::size_t>(longest, 1);
    }
    EXPECT_EQ(found(joined, made), expected);
    matched += expected.size();
  }
  EXPECT_GT(matched, 500U);
}

}  // namespace
}  // namespace tributary
