// One token sequence a pair of concepts: the text of the record with markers around the mentions of the head and of the tail. Specification, section 6.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "batches/batch.h"
#include "batches/entity_tensors.h"
#include "ingest/tokenizer.h"
#include "shards/catalogue.h"

namespace tributary {

struct PairMarkers {  // token ids
  std::int32_t head_begin = 0, head_end = 0, tail_begin = 0, tail_end = 0;
};

// The markers' tokens: published vocabularies hold unused ones for such a purpose. In the order of PairMarkers.
[[nodiscard]] const std::vector<std::string>& marker_tokens();
[[nodiscard]] PairMarkers pair_markers(const std::vector<std::string>& vocabulary);  // Throws: Error{configuration} naming the first that is missing

struct TokenSpan {  // [begin, end) of a sequence, not empty
  std::int64_t begin = 0, end = 0;
  auto operator<=>(const TokenSpan&) const = default;
};

// The text with a marker before and one behind each mention, without [CLS] and [SEP]; `longest` >= 6. Where several markers stand at one place, those that end
// a mention come first; then the longer mention is outside, and of two equal ones the head's.
// Longer than `longest` it is cut to a window that holds the closest pair of a head and a tail mention (fewest tokens between them; equally close: the first
// head, the first tail) in its middle, as far as the text goes on both sides; mentions outside are lost. Where that pair alone is longer, what stands in the
// middle between the two is left out. Without a pair of mentions the first of the one concept decides, without any the window begins with the text.
[[nodiscard]] std::vector<std::int32_t> mark_pair(std::span<const std::int32_t> text, std::vector<TokenSpan> heads, std::vector<TokenSpan> tails,
                                                  const PairMarkers& markers, std::int64_t longest);

// What a collator needs to make an encoder's sequences of pairs in place of notes.
struct PairMarking {
  std::size_t task = 0;  // a relation task of the schema
  PairMarkers markers;
  std::shared_ptr<const Tokenizer> tokenizer;  // of the data set: it tells where mentions end
};
[[nodiscard]] PairMarking pair_marking(const Catalogue& catalogue, std::size_t task);  // Throws: Error{configuration, data}

// One window a pair, in their order: [CLS], the marked tokens of the record's kept notes one after the other, [SEP]; at most window_tokens. Only the windows
// are defined. `mentions` with their ends.
[[nodiscard]] NoteTensors make_pair_sequences(const std::vector<RowRef>& rows, const std::vector<KeptNote>& kept, const MentionTensors& mentions,
                                              const PairTensors& pairs, const PairMarkers& markers, std::int64_t window_tokens, const SpecialTokens& special);

}  // namespace tributary
