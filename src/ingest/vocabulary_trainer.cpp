#include "ingest/vocabulary_trainer.h"

#include <algorithm>
#include <queue>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "ingest/unicode/characters.h"

namespace tributary {
namespace {

using Pair = std::uint64_t;  // two piece numbers: ordered as (left, right)

Pair pair_of(std::int32_t left, std::int32_t right) { return static_cast<Pair>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right); }
std::int32_t left_of(Pair pair) { return static_cast<std::int32_t>(pair >> 32U); }
std::int32_t right_of(Pair pair) { return static_cast<std::int32_t>(pair & 0xFFFFFFFFU); }

std::u32string characters_of(std::string_view word) {
  std::u32string characters;
  while (!word.empty()) {
    const unicode::Decoded decoded = unicode::decode(word);
    characters.push_back(decoded.character);
    word.remove_prefix(decoded.size_bytes);
  }
  return characters;
}

std::string text_of(char32_t c) {
  std::string text;
  unicode::append(text, c);
  return text;
}

// ASCII without what the tokenizer never sees, and the most frequent other characters (ties: the lower code point).
std::set<char32_t> alphabet_of(const WordCounts& words, const VocabularyTraining& training) {
  std::set<char32_t> alphabet;
  for (char32_t c = '!'; c <= '~'; ++c)
    if (!training.options.lowercase || c < 'A' || c > 'Z') alphabet.insert(c);
  std::map<char32_t, std::int64_t> counts;
  for (const auto& [word, count] : words)
    for (const char32_t c : characters_of(word))
      if (!alphabet.contains(c)) counts[c] += count;
  std::vector<std::pair<std::int64_t, char32_t>> order;
  for (const auto& [c, count] : counts) order.emplace_back(-count, c);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size() && alphabet.size() < training.most_characters; ++i) alphabet.insert(order[i].second);
  return alphabet;
}

class Merger {
 public:
  Merger(const WordCounts& words, const VocabularyTraining& training) : training_(training), prefix_(training.options.continuing_prefix) {
    for (const std::string& token : training.options.special_tokens) (void)number(token);
    for (std::int64_t k = 1; k <= training.unused; ++k) (void)number("[unused" + std::to_string(k) + "]");
    const std::set<char32_t> alphabet = alphabet_of(words, training);
    for (const char32_t c : alphabet) (void)number(text_of(c));
    for (const char32_t c : alphabet)
      if ((unicode::traits(c) & unicode::punctuation) == 0) (void)number(prefix_ + text_of(c));  // punctuation never stands inside a word
    if (pieces_.size() > training.size)
      fail(ErrorKind::configuration, "vocabulary: size {} is below the {} special or unused tokens and characters that it holds; give at least {}",
           training.size, pieces_.size(), pieces_.size());
    for (const auto& [word, count] : words) add_word(word, count, alphabet);
  }

  std::vector<std::string> run() {
    for (const auto& [pair, found] : pairs_) queue_.emplace(found.count, ~pair);
    while (pieces_.size() < training_.size && !queue_.empty()) {
      const auto [count, inverted] = queue_.top();
      queue_.pop();
      const Pair pair = ~inverted;
      const std::int64_t current = pairs_[pair].count;
      if (count != current) {  // an old entry; a pair that grew has a newer one
        if (count > current && current > 0) queue_.emplace(current, inverted);
        continue;
      }
      if (count < std::max<std::int64_t>(training_.min_count, 1)) break;
      merge(pair);
    }
    return std::move(pieces_);
  }

 private:
  struct Word {
    std::vector<std::int32_t> pieces;
    std::int64_t count;
  };
  struct Found {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // may name words that no longer hold the pair, and name a word twice
  };

  std::int32_t number(const std::string& piece) {
    const auto [place, fresh] = numbers_.try_emplace(piece, static_cast<std::int32_t>(pieces_.size()));
    if (fresh) pieces_.push_back(piece);
    return place->second;
  }

  void add_word(const std::string& text, std::int64_t count, const std::set<char32_t>& alphabet) {
    const std::u32string characters = characters_of(text);
    if (characters.size() > static_cast<std::size_t>(training_.options.max_word_chars)) return;
    if (!std::all_of(characters.begin(), characters.end(), [&](char32_t c) { return alphabet.contains(c); })) return;
    Word word{{}, count};
    for (const char32_t c : characters) word.pieces.push_back(numbers_.at((word.pieces.empty() ? std::string() : prefix_) + text_of(c)));
    for (std::size_t i = 0; i + 1 < word.pieces.size(); ++i) {
      Found& found = pairs_[pair_of(word.pieces[i], word.pieces[i + 1])];
      found.count += count;
      found.words.push_back(static_cast<std::uint32_t>(words_.size()));
    }
    words_.push_back(std::move(word));
  }

  void merge(Pair pair) {
    const std::string& right = pieces_[static_cast<std::size_t>(right_of(pair))];
    const std::int32_t made = number(pieces_[static_cast<std::size_t>(left_of(pair))] + right.substr(prefix_.size()));
    const std::vector<std::uint32_t> holders = std::move(pairs_[pair].words);
    pairs_[pair].words.clear();
    std::unordered_map<Pair, std::int64_t> changes;
    for (const std::uint32_t holder : holders) merge_in(words_[holder], holder, pair, made, changes);
    for (const auto& [changed, change] : changes) {
      const std::int64_t count = pairs_[changed].count += change;
      if (change > 0) queue_.emplace(count, ~changed);
    }
  }

  void merge_in(Word& word, std::uint32_t holder, Pair pair, std::int32_t made, std::unordered_map<Pair, std::int64_t>& changes) {
    const std::vector<std::int32_t> before = word.pieces;
    word.pieces.clear();
    for (std::size_t i = 0; i < before.size(); ++i) {
      const bool match = i + 1 < before.size() && pair_of(before[i], before[i + 1]) == pair;
      word.pieces.push_back(match ? made : before[i]);
      i += match ? 1 : 0;
    }
    if (word.pieces.size() == before.size()) return;
    for (std::size_t i = 0; i + 1 < before.size(); ++i) changes[pair_of(before[i], before[i + 1])] -= word.count;
    for (std::size_t i = 0; i + 1 < word.pieces.size(); ++i) {
      const Pair now = pair_of(word.pieces[i], word.pieces[i + 1]);
      changes[now] += word.count;
      if (word.pieces[i] == made || word.pieces[i + 1] == made) pairs_[now].words.push_back(holder);
    }
  }

  const VocabularyTraining& training_;
  std::string prefix_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, std::int32_t> numbers_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Found> pairs_;
  std::priority_queue<std::pair<std::int64_t, Pair>> queue_;  // the highest count first, of equal ones the lowest pair (its bits are inverted)
};

}  // namespace

std::vector<std::string> train_vocabulary(const WordCounts& words, const VocabularyTraining& training) { return Merger(words, training).run(); }

}  // namespace tributary
