#include "ingest/tokenizer.h"

#include <array>
#include <bit>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "ingest/words.h"

namespace tributary {
namespace {

constexpr std::size_t longest_word_bytes = 100;
constexpr std::string_view continuation = "##";
constexpr std::int32_t absent = -1;
constexpr std::uint64_t hash_start = 0xcbf29ce484222325ULL;

std::uint64_t extend(std::uint64_t hash, char byte) { return (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL; }

// Pieces by text in open addressing. The caller brings the hash, because it grows byte by byte while a word is walked.
class PieceTable {
 public:
  explicit PieceTable(std::size_t count) : slots_(std::bit_ceil(2 * count + 2)), mask_(slots_.size() - 1) {}

  [[nodiscard]] std::int32_t find(std::uint64_t hash, std::string_view piece) const {
    for (std::size_t i = place(hash);; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.id == absent || (slot.hash == hash && slot.piece == piece)) return slot.id;
    }
  }

  // False when the piece is there already.
  bool insert(std::string_view piece, std::int32_t id) {
    std::uint64_t hash = hash_start;
    for (const char byte : piece) hash = extend(hash, byte);
    std::size_t i = place(hash);
    for (; slots_[i].id != absent; i = (i + 1) & mask_)
      if (slots_[i].piece == piece) return false;
    slots_[i] = {hash, id, piece};
    longest_ = std::max(longest_, piece.size());
    return true;
  }

  [[nodiscard]] std::size_t longest() const { return longest_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::int32_t id = absent;
    std::string_view piece;
  };
  [[nodiscard]] std::size_t place(std::uint64_t hash) const { return (hash ^ (hash >> 32)) & mask_; }
  std::vector<Slot> slots_;
  std::size_t mask_;
  std::size_t longest_ = 0;
};

class AsciiWordPiece final : public Tokenizer {
 public:
  explicit AsciiWordPiece(std::vector<std::string> vocabulary)
      : vocabulary_(std::move(vocabulary)), special_(special_tokens(vocabulary_)), first_(vocabulary_.size()), further_(vocabulary_.size()) {
    Sha256 sha;
    sha.update("ascii wordpiece\nlower case\nlongest word 100 bytes\n");
    for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
      const std::string_view token = vocabulary_[i];
      const bool continues = token.size() > continuation.size() && token.starts_with(continuation);
      PieceTable& table = continues ? further_ : first_;
      if (!table.insert(continues ? token.substr(continuation.size()) : token, static_cast<std::int32_t>(i)))
        fail(ErrorKind::data, "vocabulary: line {} repeats '{}'; every token stands once", i + 1, token);
      sha.update(token).update("\n");
    }
    digest_ = hex(sha.finish()).substr(0, 16);
  }

  [[nodiscard]] Encoding encode(std::string_view text) const override {
    Encoding encoding;
    const std::size_t guess = text.size() / 4 + 4;
    encoding.ids.reserve(guess);
    encoding.marks.reserve(guess);
    encoding.begin.reserve(guess);
    encoding.end.reserve(guess);
    WordScanner scanner(text);
    for (Word word; scanner.next(word);) add(word, encoding);
    return encoding;
  }

  [[nodiscard]] const SpecialTokens& special() const override { return special_; }
  [[nodiscard]] const std::vector<std::string>& vocabulary() const override { return vocabulary_; }
  [[nodiscard]] const std::string& digest() const override { return digest_; }

 private:
  // Greedy longest match first; a word with any part outside the vocabulary is one [UNK].
  void add(const Word& word, Encoding& encoding) const {
    const std::size_t size = word.text.size(), before = encoding.ids.size();
    bool known = size <= longest_word_bytes;
    for (std::size_t from = 0; known && from < size;) {
      const auto [id, length] = longest_match(word.text.substr(from), from == 0 ? first_ : further_);
      known = id != absent;
      if (known) put(encoding, id, word.at[from], word.at[from + length - 1] + 1);
      from += length;
    }
    if (!known) {
      for (auto* column : {&encoding.ids, &encoding.begin, &encoding.end}) column->resize(before);
      encoding.marks.resize(before);
      put(encoding, special_.unknown, word.at[0], word.at[size - 1] + 1);
    }
    encoding.marks[before] = word.marks;
  }

  static void put(Encoding& encoding, std::int32_t id, std::int32_t begin, std::int32_t end) {
    encoding.ids.push_back(id);
    encoding.marks.push_back(0);
    encoding.begin.push_back(begin);
    encoding.end.push_back(end);
  }

  static std::pair<std::int32_t, std::size_t> longest_match(std::string_view text, const PieceTable& table) {
    std::array<std::uint64_t, longest_word_bytes + 1> hashes;  // hashes[n]: of the first n bytes
    hashes[0] = hash_start;
    const std::size_t most = std::min(text.size(), table.longest());
    for (std::size_t n = 0; n < most; ++n) hashes[n + 1] = extend(hashes[n], text[n]);
    for (std::size_t length = most; length > 0; --length) {
      const std::int32_t id = table.find(hashes[length], text.substr(0, length));
      if (id != absent) return {id, length};
    }
    return {absent, 0};
  }

  std::vector<std::string> vocabulary_;
  SpecialTokens special_;
  PieceTable first_, further_;  // views into vocabulary_, which never changes
  std::string digest_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_ascii_wordpiece(std::vector<std::string> vocabulary) { return std::make_unique<AsciiWordPiece>(std::move(vocabulary)); }

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  WordScanner scanner(text);
  for (Word word; scanner.next(word);) words.emplace_back(word.text);
  return words;
}

}  // namespace tributary
