#include "ingest/word_counts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "comm/agree.h"
#include "ingest/note_text.h"
#include "ingest/unicode/characters.h"
#include "ingest/words.h"
#include "shards/shard_reader.h"

namespace tributary {
namespace {

constexpr std::uint64_t block_bytes = 16ULL << 20U;
constexpr std::size_t most_words_a_part = std::size_t{1} << 20U;
constexpr std::int64_t rows_at_once = 256;

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>{}(word); }
};
using PartCounts = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

// A visitor of the scanner.
class Counter {
 public:
  explicit Counter(const TokenizerOptions& options) : scanner_(options), lowercase_(options.lowercase) {}

  void add(std::string_view text) {
    text_ = text;
    scanner_.scan(text, *this);
  }
  void ascii_word(std::int32_t begin, std::int32_t end, std::uint8_t) {
    word_.assign(text_.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    for (char& c : word_)
      if (lowercase_ && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    count();
  }
  void word(std::span<const PlacedCharacter> characters, std::uint8_t) {
    word_.clear();
    for (const PlacedCharacter& placed : characters) unicode::append(word_, placed.character);
    count();
  }
  void special(std::size_t, std::int32_t, std::int32_t, std::uint8_t) {}

  // The counts since the last call.
  [[nodiscard]] PartCounts take() { return std::exchange(counts_, {}); }

 private:
  void count() {
    const auto found = counts_.find(word_);
    if (found == counts_.end())
      counts_.emplace(word_, 1);
    else
      ++found->second;
  }

  WordScanner scanner_;
  bool lowercase_;
  std::string_view text_;
  std::string word_;
  PartCounts counts_;
};

void add_part(CorpusWords& corpus, const PartCounts& part) {
  std::vector<std::pair<std::int64_t, std::string_view>> words;
  for (const auto& [word, count] : part) {
    words.emplace_back(-count, word);
    corpus.words += count;
  }
  if (words.size() > most_words_a_part) {
    std::nth_element(words.begin(), words.begin() + most_words_a_part, words.end());
    words.resize(most_words_a_part);
  }
  for (const auto& [count, word] : words) corpus.counts[std::string(word)] -= count;
}

struct Block {
  std::filesystem::path file;
  std::uint64_t begin = 0, end = 0;
};

std::vector<Block> blocks_of(const std::vector<std::filesystem::path>& files) {
  std::vector<Block> blocks;
  for (const auto& file : files) {
    std::error_code code;
    const std::uint64_t size = std::filesystem::file_size(file, code);
    if (code) fail(ErrorKind::missing, "{}: {}", file.string(), code.message());
    for (std::uint64_t begin = 0; begin < size; begin += block_bytes) blocks.push_back({file, begin, std::min(size, begin + block_bytes)});
  }
  return blocks;
}

// The lines that begin in the block.
void count_block(const Block& block, Counter& counter, CorpusWords& corpus) {
  std::ifstream file(block.file, std::ios::binary);
  std::array<char, 2> first{};
  if (block.begin == 0 && file.read(first.data(), first.size()) && first == std::array{'\x1f', '\x8b'})
    fail(ErrorKind::data, "{}: is compressed; unpack it first", block.file.string());
  file.clear();
  std::string line;
  std::uint64_t at = block.begin;
  file.seekg(static_cast<std::streamoff>(at == 0 ? 0 : at - 1));
  if (at > 0 && std::getline(file, line)) at += line.size();  // up to the first line feed from the byte before the block
  while (at < block.end && std::getline(file, line)) {
    at += line.size() + 1;
    const Utf8Text text = as_utf8(line);
    corpus.replaced_bytes += text.replaced_bytes;
    counter.add(text.text);
  }
  if (file.bad() || (!file.eof() && file.fail())) fail(ErrorKind::io, "{}: cannot be read", block.file.string());
}

// Sums over ranks, on rank 0.
CorpusWords combined(const Communicator& comm, CorpusWords corpus) {
  std::string bytes;
  for (const auto& [word, count] : corpus.counts) bytes += word + ' ' + std::to_string(count) + '\n';
  if (comm.rank() == 0) bytes.clear();
  const std::vector<std::string> all = comm.gather(bytes, 0);
  for (const std::string& list : all) {
    for (std::size_t at = 0; at < list.size();) {
      const std::size_t blank = list.find(' ', at), end = list.find('\n', blank);
      std::int64_t count = 0;
      std::from_chars(list.data() + blank + 1, list.data() + end, count);
      corpus.counts[list.substr(at, blank - at)] += count;
      at = end + 1;
    }
  }
  if (comm.rank() != 0) corpus.counts.clear();
  std::array<std::int64_t, 2> totals{corpus.words, corpus.replaced_bytes};
  comm.sum(totals);
  corpus.words = totals[0];
  corpus.replaced_bytes = totals[1];
  return corpus;
}

}  // namespace

CorpusWords count_words(const Communicator& comm, const std::vector<std::filesystem::path>& files, const TokenizerOptions& options) {
  return combined(comm, agreed(comm, [&] {
                    CorpusWords corpus;
                    Counter counter(options);
                    const std::vector<Block> blocks = blocks_of(files);
                    for (auto b = static_cast<std::size_t>(comm.rank()); b < blocks.size(); b += static_cast<std::size_t>(comm.size())) {
                      count_block(blocks[b], counter, corpus);
                      add_part(corpus, counter.take());
                    }
                    return corpus;
                  }));
}

CorpusWords count_words(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue, const TokenizerOptions& options) {
  return combined(comm, agreed(comm, [&] {
                    CorpusWords corpus;
                    Counter counter(options);
                    ShardReader reader(directory, catalogue, Verify::stamp);
                    const FieldSelection fields{
                        .statics = false, .series = false, .tokens = false, .text = true, .images = false, .labels = false, .entities = false};
                    for (int part = comm.rank(); part < static_cast<int>(catalogue.parts.size()); part += comm.size()) {
                      const std::int64_t training = catalogue.parts[static_cast<std::size_t>(part)].rows[static_cast<std::size_t>(Split::train)];
                      for (std::int64_t first = 0; first < training; first += rows_at_once) {
                        const RecordBlock block = reader.read(part, first, std::min(rows_at_once, training - first), fields);
                        const NoteColumns& notes = block.notes;
                        for (std::size_t note = 0; note < notes.hour.size(); ++note) {
                          const auto begin = static_cast<std::size_t>(notes.text_offsets[note]), end = static_cast<std::size_t>(notes.text_offsets[note + 1]);
                          counter.add(std::string_view(notes.text).substr(begin, end - begin));
                        }
                      }
                      add_part(corpus, counter.take());
                    }
                    return corpus;
                  }));
}

}  // namespace tributary
