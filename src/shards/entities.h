// What follows from the concepts and mentions of a record: which pairs a relation task looks at, and which token a mention begins with.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "shards/record_block.h"
#include "shards/schema.h"

namespace tributary {

struct ConceptPair {  // numbers of concepts inside a record
  std::int32_t head = 0, tail = 0;
  auto operator<=>(const ConceptPair&) const = default;
};

// `types`: of the record's concepts. A candidate is a pair of two concepts whose types are one of the task's; where the direction does not matter and both
// have the same type, only the pair with the lower number first.
[[nodiscard]] bool is_candidate(const Task& task, std::span<const std::uint8_t> types, const ConceptPair& pair);
[[nodiscard]] std::vector<ConceptPair> candidate_pairs(const Task& task, std::span<const std::uint8_t> types);  // ascending
[[nodiscard]] std::int64_t candidate_count(const Task& task, std::span<const std::uint8_t> types);              // their number, without making them

// Types of the concepts of a row of the block.
[[nodiscard]] std::span<const std::uint8_t> concept_types_of(const RecordBlock& block, std::size_t row);

// The token with which the mention [begin, end) begins, by the bytes [token_begin[i], token_end[i]) of the tokens, which ascend: the first that starts inside
// it; where none does, the one that reaches into it from before (a mention inside one token); else -1.
[[nodiscard]] std::int32_t first_token(std::int32_t begin, std::int32_t end, std::span<const std::int32_t> token_begin,
                                       std::span<const std::int32_t> token_end);

// Fills entities.mention_token of a block as its notes are tokenized one after the other; without mentions it does nothing.
class MentionTokens {
 public:
  explicit MentionTokens(RecordBlock& block);  // Keeps a reference.
  // The next note of the block and the bytes of its tokens.
  void next_note(std::span<const std::int32_t> token_begin, std::span<const std::int32_t> token_end);

 private:
  RecordBlock& block_;
  std::size_t row_ = 0, note_ = 0, mention_ = 0;
};

// Of a record and a relation task: candidate pairs, and those among them with a class of at least 1.
struct PairCounts {
  std::uint32_t candidates = 0, related = 0;
  bool operator==(const PairCounts&) const = default;
};
[[nodiscard]] PairCounts pair_counts(const RecordBlock& block, std::size_t row, const Task& task, std::size_t task_number);

}  // namespace tributary
