#include "ingest/dictionary.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "ingest/pattern.h"
#include "shards/block_checks.h"

namespace tributary {
namespace {

enum class Kind : std::uint8_t { word, separator, punctuation };

constexpr std::array<Kind, 256> make_kinds() {
  std::array<Kind, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool word = c >= 128 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    table[c] = word ? Kind::word : c <= ' ' || c == '-' || c == 127 ? Kind::separator : Kind::punctuation;
  }
  return table;
}
constexpr std::array<Kind, 256> kind_of_byte = make_kinds();

constexpr std::array<char, 256> make_lower() {
  std::array<char, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) table[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return table;
}
constexpr std::array<char, 256> lower_table = make_lower();

constexpr std::size_t longest_term_word_bytes = 128;  // longer runs are no words of a term
constexpr std::size_t abbreviation_bytes = 5;

bool is_abbreviation(std::string_view term) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return term.size() <= abbreviation_bytes && std::any_of(term.begin(), term.end(), upper) &&
         std::all_of(term.begin(), term.end(), [&](char c) { return upper(c) || (c >= '0' && c <= '9'); });
}

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 31;
  x *= 0x9E3779B97F4A7C15U;
  return x ^ (x >> 29);
}

// Takes the plural from a word in lower case.
std::size_t singular_size(char* word, std::size_t size) {
  if (size <= 3 || word[size - 1] != 's') return size;
  if (word[size - 2] == 'e' && word[size - 3] == 'i') {
    word[size - 3] = 'y';
    return size - 2;
  }
  const char before = word[size - 2];
  return before == 's' || before == 'u' || before == 'i' ? size : size - 1;
}

}  // namespace

// The words of a text one after the other, in lower case and without plural.
class Dictionary::WordScanner {
 public:
  explicit WordScanner(std::string_view text) : text_(text) {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      fail(ErrorKind::data, "a text of {} bytes is too long to be searched; 2147483647 at most: cut the note", text.size());
  }
  bool next() {
    while (at_ < text_.size() && kind(at_) == Kind::separator) ++at_;
    if (at_ == text_.size()) return false;
    begin_ = at_;
    size_ = 0;
    if (kind(at_) == Kind::punctuation) {
      buffer_[size_++] = text_[at_++];
    } else {
      for (; at_ < text_.size() && kind(at_) == Kind::word; ++at_)
        if (size_ < longest_term_word_bytes) buffer_[size_++] = lower_table[static_cast<unsigned char>(text_[at_])];
      size_ = singular_size(buffer_.data(), size_);
    }
    hash_ = 0xCBF29CE484222325U;
    for (std::size_t i = 0; i < size_; ++i) hash_ = (hash_ ^ static_cast<unsigned char>(buffer_[i])) * 0x100000001B3U;
    hash_ = mix(hash_);
    return true;
  }
  [[nodiscard]] std::string_view word() const { return {buffer_.data(), size_}; }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::int32_t begin() const { return static_cast<std::int32_t>(begin_); }
  [[nodiscard]] std::int32_t end() const { return static_cast<std::int32_t>(at_); }

 private:
  [[nodiscard]] Kind kind(std::size_t at) const { return kind_of_byte[static_cast<unsigned char>(text_[at])]; }
  std::string_view text_;
  std::size_t at_ = 0, begin_ = 0, size_ = 0;
  std::uint64_t hash_ = 0;
  std::array<char, longest_term_word_bytes> buffer_;
};

Dictionary::Dictionary(std::string_view tsv, const std::vector<std::string>& types, const std::string& where) : words_(1024), edges_(1024) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (tsv.starts_with(byte_order_mark)) tsv.remove_prefix(byte_order_mark.size());
  std::int64_t number = 0;
  while (!tsv.empty()) {
    const std::size_t size = std::min(tsv.find('\n'), tsv.size());
    const std::string_view line = trimmed(tsv.substr(0, size));
    tsv.remove_prefix(std::min(size + 1, tsv.size()));
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (!is_utf8(line)) fail(ErrorKind::data, "{}:{}: the line is not UTF-8; save the dictionary in that encoding", where, number);
    const std::size_t first = line.find('\t'), second = first == std::string_view::npos ? first : line.find('\t', first + 1);
    if (second == std::string_view::npos) fail(ErrorKind::data, "{}:{}: expected term, concept id and type, separated by tabs", where, number);
    const std::string_view term = trimmed(line.substr(0, first)), id = trimmed(line.substr(first + 1, second - first - 1));
    const std::string_view type = trimmed(line.substr(second + 1, line.find('\t', second + 1) - second - 1));
    if (term.empty() || id.empty()) fail(ErrorKind::data, "{}:{}: the term or its concept id is empty", where, number);
    const auto found = std::find(types.begin(), types.end(), type);
    if (found == types.end()) continue;
    add_term(term, {std::string(id), static_cast<std::uint8_t>(found - types.begin()), is_abbreviation(term) ? std::string(term) : std::string()});
  }
}

const Dictionary::WordSlot* Dictionary::find_word(std::string_view word, std::uint64_t hash) const {
  const std::size_t mask = words_.size() - 1;
  for (std::size_t at = hash & mask; words_[at].word != 0; at = (at + 1) & mask) {
    const WordSlot& slot = words_[at];
    if (slot.hash == hash && std::string_view(word_text_).substr(slot.text_begin, slot.text_size) == word) return &slot;
  }
  return nullptr;
}

Dictionary::WordSlot& Dictionary::make_word(std::string_view word, std::uint64_t hash) {
  if (2 * (word_count_ + 1) > words_.size()) {
    std::vector<WordSlot> old(2 * words_.size());
    old.swap(words_);
    for (const WordSlot& slot : old) {
      if (slot.word == 0) continue;
      std::size_t at = slot.hash & (words_.size() - 1);
      while (words_[at].word != 0) at = (at + 1) & (words_.size() - 1);
      words_[at] = slot;
    }
  }
  std::size_t at = hash & (words_.size() - 1);
  for (; words_[at].word != 0; at = (at + 1) & (words_.size() - 1))
    if (words_[at].hash == hash && std::string_view(word_text_).substr(words_[at].text_begin, words_[at].text_size) == word) return words_[at];
  words_[at] = {hash, static_cast<std::uint32_t>(++word_count_), static_cast<std::uint32_t>(word_text_.size()), static_cast<std::uint16_t>(word.size()), 0};
  word_text_ += word;
  return words_[at];
}

std::uint32_t Dictionary::next_state(std::uint32_t state, std::uint32_t word) const {
  const std::uint64_t key = static_cast<std::uint64_t>(state) << 32U | word;
  const std::size_t mask = edges_.size() - 1;
  for (std::size_t at = mix(key) & mask; edges_[at].key != 0; at = (at + 1) & mask)
    if (edges_[at].key == key) return edges_[at].state;
  return 0;
}

std::uint32_t Dictionary::make_state(std::uint32_t state, std::uint32_t word) {
  if (const std::uint32_t found = next_state(state, word); found != 0) return found;
  const auto place = [&](const EdgeSlot& slot) {
    std::size_t at = mix(slot.key) & (edges_.size() - 1);
    while (edges_[at].key != 0) at = (at + 1) & (edges_.size() - 1);
    edges_[at] = slot;
  };
  if (2 * (edge_count_ + 1) > edges_.size()) {
    std::vector<EdgeSlot> old(2 * edges_.size());
    old.swap(edges_);
    for (const EdgeSlot& slot : old)
      if (slot.key != 0) place(slot);
  }
  const auto made = static_cast<std::uint32_t>(states_.size());
  states_.emplace_back();
  place({static_cast<std::uint64_t>(state) << 32U | word, made});
  ++edge_count_;
  return made;
}

void Dictionary::add_term(std::string_view term, DictionaryEntry entry) {
  std::uint32_t state = 0;
  WordScanner scanner(term);
  while (scanner.next()) {
    WordSlot& slot = make_word(scanner.word(), scanner.hash());
    if (state == 0 && slot.first == 0) {
      slot.first = static_cast<std::uint32_t>(states_.size());
      states_.emplace_back();
    }
    state = state == 0 ? slot.first : make_state(state, slot.word);
  }
  if (state == 0) return;  // of separators alone
  const auto number = static_cast<std::int64_t>(entries_.size());
  if (entry.spelling.empty()) {
    if (states_[state].plain >= 0) return;
    states_[state].plain = number;
  } else {
    if (exact_entry(state, entry.spelling) >= 0) return;
    entry.next_exact = std::exchange(states_[state].exact, number);
  }
  entries_.push_back(std::move(entry));
}

std::int64_t Dictionary::accepted(std::uint32_t state, std::string_view spelling) const {
  const std::int64_t exact = exact_entry(state, spelling);
  return exact >= 0 ? exact : states_[state].plain;
}

std::int64_t Dictionary::exact_entry(std::uint32_t state, std::string_view spelling) const {
  std::int64_t entry = states_[state].exact;
  while (entry >= 0 && entries_[static_cast<std::size_t>(entry)].spelling != spelling) entry = entries_[static_cast<std::size_t>(entry)].next_exact;
  return entry;
}

std::vector<DictionaryMatch> Dictionary::find(std::string_view text) const {
  std::vector<Word> words;
  words.reserve(text.size() / 5 + 8);
  WordScanner scanner(text);
  while (scanner.next()) words.push_back({scanner.begin(), scanner.end(), find_word(scanner.word(), scanner.hash())});
  std::vector<DictionaryMatch> matches;
  for (std::size_t first = 0; first < words.size();) {
    std::int64_t found = -1;
    std::size_t after = first + 1;
    std::uint32_t state = words[first].slot == nullptr ? 0 : words[first].slot->first;
    for (std::size_t last = first; state != 0;) {
      const auto begin = static_cast<std::size_t>(words[first].begin), end = static_cast<std::size_t>(words[last].end);
      if (const std::int64_t entry = accepted(state, text.substr(begin, end - begin)); entry >= 0) {
        found = entry;
        after = last + 1;
      }
      if (++last == words.size() || words[last].slot == nullptr) break;
      state = next_state(state, words[last].slot->word);
    }
    if (found >= 0) matches.push_back({words[first].begin, words[after - 1].end, static_cast<std::uint32_t>(found)});
    first = after;
  }
  return matches;
}

}  // namespace tributary
