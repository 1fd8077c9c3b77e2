#include "ingest/words.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "ingest/unicode/characters.h"

namespace tributary {
namespace {

// Text cleaning and the blanks around ideographs.
void clean(std::string_view text, std::int32_t offset, const TokenizerOptions& options, std::vector<PlacedCharacter>& into) {
  while (!text.empty()) {
    const unicode::Decoded decoded = unicode::decode(text);
    const std::uint8_t traits = unicode::traits(decoded.character);
    const std::int32_t end = offset + decoded.size_bytes;
    text.remove_prefix(decoded.size_bytes);
    const bool ideograph = options.handle_chinese_chars && (traits & unicode::ideograph) != 0;
    if (ideograph) into.push_back({U' ', offset, end});
    if (!options.clean_text || (traits & unicode::removed) == 0)  // some of those are white space, too
      into.push_back({options.clean_text && (traits & unicode::white_space) != 0 ? U' ' : decoded.character, offset, end});
    if (ideograph) into.push_back({U' ', offset, end});
    offset = end;
  }
}

struct Decomposed {
  char32_t character = 0;
  std::uint8_t combining_class = 0;
  bool inserted = false;  // not the first of its source character
};

// Canonical decomposition in canonical order. The places stay in the order of the source while the characters move.
std::vector<Decomposed> decomposed(std::span<const PlacedCharacter> source) {
  std::vector<Decomposed> result;
  std::size_t ordered = 0;
  const auto put_in_order = [&] {
    std::stable_sort(result.begin() + static_cast<std::ptrdiff_t>(ordered), result.end(),
                     [](const Decomposed& a, const Decomposed& b) { return a.combining_class < b.combining_class; });
  };
  for (const PlacedCharacter& placed : source) {
    std::array<char32_t, 4> parts;
    const std::size_t count = unicode::decompose(placed.character, parts.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t combining_class = unicode::combining_class(parts[i]);
      if (combining_class == 0) put_in_order();
      result.push_back({parts[i], combining_class, i > 0});
      if (combining_class == 0) ordered = result.size();
    }
  }
  put_in_order();
  return result;
}

void strip_accents(std::vector<PlacedCharacter>& characters) {
  const bool plain = std::none_of(characters.begin(), characters.end(), [](const PlacedCharacter& placed) {
    return (unicode::traits(placed.character) & (unicode::nonspacing | unicode::has_decomposition | unicode::reorders)) != 0;
  });
  if (plain) return;
  std::vector<PlacedCharacter> result;
  std::size_t next = 0;  // source character whose turn it is
  for (const Decomposed& part : decomposed(characters)) {
    const std::size_t place = part.inserted ? next - 1 : next++;
    if ((unicode::traits(part.character) & unicode::nonspacing) == 0) result.push_back({part.character, characters[place].begin, characters[place].end});
  }
  characters = std::move(result);
}

void lower_case(std::vector<PlacedCharacter>& characters) {
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if ((unicode::traits(characters[i].character) & unicode::has_lower) == 0) continue;
    const std::u32string_view lower = unicode::lower(characters[i].character);
    PlacedCharacter placed = characters[i];
    characters[i].character = lower[0];
    for (const char32_t further : lower.substr(1)) {
      placed.character = further;
      characters.insert(characters.begin() + static_cast<std::ptrdiff_t>(++i), placed);
    }
  }
}

}  // namespace

void normalise(std::string_view text, std::int32_t offset, const TokenizerOptions& options, std::vector<PlacedCharacter>& into) {
  clean(text, offset, options, into);
  if (options.strip_accents) strip_accents(into);
  if (options.lowercase) lower_case(into);
}

WordScanner::WordScanner(const TokenizerOptions& options) : options_(options), longest_first_(options.special_tokens.size()) {
  for (char32_t c = 0; c < 256; ++c) {
    const std::uint8_t traits = unicode::traits(c);
    Kind& kind_of_byte = kinds_[c];
    if (c >= 128)
      kind_of_byte = Kind::other;
    else if (options.clean_text && (traits & unicode::removed) != 0)
      kind_of_byte = Kind::other;
    else if ((traits & unicode::white_space) != 0)
      kind_of_byte = Kind::space;
    else if ((traits & unicode::punctuation) != 0)
      kind_of_byte = Kind::punctuation;
  }
  for (const std::string& token : options.special_tokens) {
    const auto first = static_cast<unsigned char>(token.at(0));
    const bool one = only_beginning_ == first || std::none_of(begins_special_.begin(), begins_special_.end(), [](bool begins) { return begins; });
    only_beginning_ = one ? first : -1;
    begins_special_[first] = true;
  }
  std::iota(longest_first_.begin(), longest_first_.end(), std::size_t{0});
  std::stable_sort(longest_first_.begin(), longest_first_.end(),
                   [&](std::size_t a, std::size_t b) { return options.special_tokens[a].size() > options.special_tokens[b].size(); });
}

void WordScanner::require_size(std::string_view text) {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    fail(ErrorKind::data, "a text of {} bytes cannot be tokenized; 2147483647 at most: cut the note", text.size());
}

WordScanner::Special WordScanner::next_special(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; !longest_first_.empty() && at < text.size(); ++at) {
    if (only_beginning_ >= 0) {
      const void* found = std::memchr(text.data() + at, only_beginning_, text.size() - at);
      if (found == nullptr) break;
      at = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    } else if (!begins_special_[static_cast<unsigned char>(text[at])]) {
      continue;
    }
    for (const std::size_t index : longest_first_)
      if (text.substr(at).starts_with(options_.special_tokens[index])) return {at, options_.special_tokens[index].size(), index};
  }
  return {text.size(), 0, 0};
}

bool WordScanner::is_space(char32_t c) { return (unicode::traits(c) & unicode::white_space) != 0; }
bool WordScanner::is_punctuation(char32_t c) { return (unicode::traits(c) & unicode::punctuation) != 0; }

}  // namespace tributary
