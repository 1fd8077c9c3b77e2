// Vocabularies: where the special tokens stand, and one made from word counts.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/error.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

constexpr std::array<std::string_view, 5> special_names{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr std::string_view letters_and_digits = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
constexpr std::size_t longest_word_bytes = 100;  // longer ones are [UNK] to the tokenizer

}  // namespace

SpecialTokens special_tokens(const std::vector<std::string>& vocabulary) {
  SpecialTokens special;
  const std::array<std::int32_t*, 5> fields{&special.pad, &special.unknown, &special.cls, &special.sep, &special.mask};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), special_names[i]);
    if (found == vocabulary.end()) fail(ErrorKind::data, "vocabulary: {} tokens, but no line '{}'; add it", vocabulary.size(), special_names[i]);
    *fields[i] = static_cast<std::int32_t>(found - vocabulary.begin());
  }
  return special;
}

std::vector<std::string> vocabulary_from_lines(std::string_view text) {
  std::vector<std::string> vocabulary;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    vocabulary.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return vocabulary;
}

std::vector<std::string> vocabulary_from_counts(const std::map<std::string, std::int64_t>& word_counts, std::size_t size) {
  std::vector<std::string> vocabulary(special_names.begin(), special_names.end());
  for (const char c : punctuation) vocabulary.emplace_back(1, c);
  for (const char c : letters_and_digits) vocabulary.emplace_back(1, c);
  for (const char c : letters_and_digits) vocabulary.push_back(std::string("##") + c);
  if (size < vocabulary.size())
    fail(ErrorKind::configuration, "vocabulary: size {} is below the {} special tokens and single characters that every vocabulary holds", size,
         vocabulary.size());
  const std::set<std::string> taken(vocabulary.begin(), vocabulary.end());
  std::vector<std::pair<std::int64_t, const std::string*>> words;
  for (const auto& [word, count] : word_counts)
    if (!word.empty() && word.size() <= longest_word_bytes && !taken.contains(word)) words.emplace_back(count, &word);
  // The map is alphabetical, so a stable sort by count leaves ties in that order.
  std::stable_sort(words.begin(), words.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t i = 0; i < words.size() && vocabulary.size() < size; ++i) vocabulary.push_back(*words[i].second);
  return vocabulary;
}

}  // namespace tributary
