#include "ingest/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "ingest/piece_trie.h"
#include "ingest/unicode/characters.h"
#include "ingest/words.h"
#include "shards/block_checks.h"

namespace tributary {
namespace {

constexpr std::size_t bytes_a_token = 3;  // fewer than clinical prose has, so that the columns seldom grow

std::vector<std::int32_t> ids_of(const std::vector<std::string>& tokens, const std::vector<std::string>& vocabulary) {
  std::vector<std::int32_t> ids;
  for (const std::string& token : tokens) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), token);
    if (found == vocabulary.end()) fail(ErrorKind::data, "vocabulary: {} tokens, but no line '{}', which is a special token; add it", vocabulary.size(), token);
    ids.push_back(static_cast<std::int32_t>(found - vocabulary.begin()));
  }
  return ids;
}

std::vector<std::string> checked(std::vector<std::string> vocabulary, const TokenizerOptions& options) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i)
    if (!is_utf8(vocabulary[i])) fail(ErrorKind::data, "vocabulary: line {} is not UTF-8", i + 1);
  for (const std::string& token : options.special_tokens)
    if (token.empty()) fail(ErrorKind::data, "tokenizer: a special token is empty");
  if (options.max_word_chars < 1) fail(ErrorKind::data, "tokenizer: words of at most {} characters; at least 1", options.max_word_chars);
  return vocabulary;
}

class WordPiece final : public Tokenizer {
 public:
  WordPiece(std::vector<std::string> vocabulary, const TokenizerOptions& options)
      : options_(options),
        vocabulary_(checked(std::move(vocabulary), options)),
        special_(special_tokens(vocabulary_)),
        special_ids_(ids_of(options.special_tokens, vocabulary_)),
        trie_(vocabulary_),
        further_(trie_.after(options.continuing_prefix)),
        source_codes_(options.lowercase ? trie_.codes_in_lower_case() : trie_.codes()),
        longest_word_(static_cast<std::size_t>(options.max_word_chars)),
        scanner_(options) {
    Sha256 sha;
    sha.update("wordpiece ").update(to_json(options_)).update("\n");
    for (const std::string& token : vocabulary_) sha.update(token).update("\n");
    digest_ = hex(sha.finish()).substr(0, 16);
  }

  using Tokenizer::encode;
  void encode(std::string_view text, Encoding& into) const override {
    Writer writer{*this, text, into};
    writer.reserve(text.size() / bytes_a_token + 16);
    scanner_.scan(text, writer);
    writer.finish();
  }

  [[nodiscard]] const SpecialTokens& special() const override { return special_; }
  [[nodiscard]] const std::vector<std::string>& vocabulary() const override { return vocabulary_; }
  [[nodiscard]] const TokenizerOptions& options() const override { return options_; }
  [[nodiscard]] const std::string& digest() const override { return digest_; }

 private:
  // Takes words, leaves tokens. The columns are larger than the tokens they hold until finish().
  struct Writer {
    const WordPiece& own;
    std::string_view text;
    Encoding& into;
    std::size_t count = 0;
    std::string bytes;                // of a normalised word
    std::vector<std::uint32_t> from;  // number of the character at each byte of it

    void reserve(std::size_t tokens) {
      if (tokens <= into.ids.size()) return;
      for (auto* column : {&into.ids, &into.begin, &into.end}) column->resize(tokens);
      into.marks.resize(tokens);
    }

    void make_room(std::size_t tokens) {
      if (count + tokens > into.ids.size()) reserve(std::max(2 * into.ids.size(), count + tokens));
    }

    void finish() {
      for (auto* column : {&into.ids, &into.begin, &into.end}) column->resize(count);
      into.marks.resize(count);
    }

    void put(std::int32_t id, std::int32_t begin, std::int32_t end) {
      into.ids[count] = id;
      into.marks[count] = 0;
      into.begin[count] = begin;
      into.end[count] = end;
      ++count;
    }

    // Greedy longest match first; a word with any part outside the vocabulary is one [UNK]. `place` gives the source bytes of a stretch of the word.
    template <class Place>
    void put_pieces(const char* word, std::size_t size, std::size_t characters, const PieceTrie::Codes& codes, std::uint8_t marks, const Place& place) {
      make_room(size);
      const std::size_t before = count;
      bool known = characters <= own.longest_word_;
      std::int32_t state = own.trie_.root();
      for (std::size_t at = 0; known && at < size;) {
        const PieceTrie::Match match = state == PieceTrie::none ? PieceTrie::Match{} : own.trie_.longest(state, word + at, size - at, codes);
        known = match.id != PieceTrie::none;
        if (known) {
          const auto [begin, end] = place(at, at + match.size);
          put(match.id, begin, end);
        }
        at += match.size;
        state = own.further_;
      }
      if (!known) {
        count = before;
        const auto [begin, end] = place(0, size);
        put(own.special_.unknown, begin, end);
      }
      into.marks[before] = marks;
    }

    void ascii_word(std::int32_t begin, std::int32_t end, std::uint8_t marks) {
      const auto size = static_cast<std::size_t>(end - begin);
      put_pieces(text.data() + begin, size, size, own.source_codes_, marks, [begin](std::size_t first, std::size_t last) {
        return std::pair(begin + static_cast<std::int32_t>(first), begin + static_cast<std::int32_t>(last));
      });
    }

    void word(std::span<const PlacedCharacter> characters, std::uint8_t marks) {
      bytes.clear();
      from.clear();
      for (std::size_t i = 0; i < characters.size(); ++i) {
        unicode::append(bytes, characters[i].character);
        from.resize(bytes.size(), static_cast<std::uint32_t>(i));
      }
      put_pieces(bytes.data(), bytes.size(), characters.size(), own.trie_.codes(), marks,
                 [&](std::size_t first, std::size_t last) { return std::pair(characters[from[first]].begin, characters[from[last - 1]].end); });
    }

    void special(std::size_t index, std::int32_t begin, std::int32_t end, std::uint8_t marks) {
      make_room(1);
      put(own.special_ids_[index], begin, end);
      into.marks[count - 1] = marks;
    }
  };

  TokenizerOptions options_;
  std::vector<std::string> vocabulary_;
  SpecialTokens special_;
  std::vector<std::int32_t> special_ids_;  // of options_.special_tokens
  PieceTrie trie_;
  std::int32_t further_;  // state from which pieces inside a word are matched
  PieceTrie::Codes source_codes_;
  std::size_t longest_word_;
  WordScanner scanner_;
  std::string digest_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(std::vector<std::string> vocabulary, const TokenizerOptions& options) {
  return std::make_unique<WordPiece>(std::move(vocabulary), options);
}

std::vector<std::string> split_words(std::string_view text, const TokenizerOptions& options) {
  struct Collector {
    std::string_view text;
    bool lowercase;
    std::vector<std::string> words;
    void ascii_word(std::int32_t begin, std::int32_t end, std::uint8_t) {
      std::string& word = words.emplace_back(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      for (char& c : word)
        if (lowercase && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    void word(std::span<const PlacedCharacter> characters, std::uint8_t) {
      std::string& word = words.emplace_back();
      for (const PlacedCharacter& placed : characters) unicode::append(word, placed.character);
    }
    void special(std::size_t, std::int32_t, std::int32_t, std::uint8_t) {}
  };
  Collector collector{text, options.lowercase, {}};
  WordScanner(options).scan(text, collector);
  return std::move(collector.words);
}

}  // namespace tributary
