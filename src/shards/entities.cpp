#include "shards/entities.h"

#include <algorithm>
#include <array>

namespace tributary {

bool is_candidate(const Task& task, std::span<const std::uint8_t> types, const ConceptPair& pair) {
  const auto count = static_cast<std::int32_t>(types.size());
  if (pair.head == pair.tail || pair.head < 0 || pair.tail < 0 || pair.head >= count || pair.tail >= count) return false;
  const TypePair found{types[static_cast<std::size_t>(pair.head)], types[static_cast<std::size_t>(pair.tail)]};
  if (!task.directed && found.head == found.tail && pair.head > pair.tail) return false;
  return std::find(task.candidates.begin(), task.candidates.end(), found) != task.candidates.end();
}

std::vector<ConceptPair> candidate_pairs(const Task& task, std::span<const std::uint8_t> types) {
  std::vector<ConceptPair> pairs;
  const auto count = static_cast<std::int32_t>(types.size());
  for (std::int32_t head = 0; head < count; ++head)
    for (std::int32_t tail = 0; tail < count; ++tail)
      if (is_candidate(task, types, {head, tail})) pairs.push_back({head, tail});
  return pairs;
}

std::int64_t candidate_count(const Task& task, std::span<const std::uint8_t> types) {
  std::array<std::int64_t, 256> of_type{};
  for (const std::uint8_t type : types) ++of_type[type];
  std::int64_t count = 0;
  for (const TypePair& pair : task.candidates) {
    const std::int64_t heads = of_type[static_cast<std::size_t>(pair.head)], tails = of_type[static_cast<std::size_t>(pair.tail)];
    if (pair.head != pair.tail)
      count += heads * tails;
    else
      count += task.directed ? heads * (heads - 1) : heads * (heads - 1) / 2;
  }
  return count;
}

std::span<const std::uint8_t> concept_types_of(const RecordBlock& block, std::size_t row) {
  const auto& offsets = block.entities.concept_offsets;
  return std::span(block.entities.concept_type).subspan(static_cast<std::size_t>(offsets[row]), static_cast<std::size_t>(offsets[row + 1] - offsets[row]));
}

std::int32_t first_token(std::int32_t begin, std::int32_t end, std::span<const std::int32_t> token_begin, std::span<const std::int32_t> token_end) {
  const auto after = static_cast<std::size_t>(std::lower_bound(token_begin.begin(), token_begin.end(), begin) - token_begin.begin());
  if (after < token_begin.size() && token_begin[after] < end) return static_cast<std::int32_t>(after);
  if (after > 0 && token_end[after - 1] > begin) return static_cast<std::int32_t>(after) - 1;
  return -1;
}

MentionTokens::MentionTokens(RecordBlock& block) : block_(block) { block_.entities.mention_token.assign(block_.entities.mention_note.size(), -1); }

void MentionTokens::next_note(std::span<const std::int32_t> token_begin, std::span<const std::int32_t> token_end) {
  EntityColumns& entities = block_.entities;
  if (entities.mention_offsets.empty()) return;
  const auto note = static_cast<std::int64_t>(note_++);
  while (block_.notes.note_offsets[row_ + 1] <= note) ++row_;
  const auto number = static_cast<std::int32_t>(note - block_.notes.note_offsets[row_]);
  const auto last = static_cast<std::size_t>(entities.mention_offsets[row_ + 1]);
  for (mention_ = std::max(mention_, static_cast<std::size_t>(entities.mention_offsets[row_])); mention_ < last; ++mention_) {
    if (entities.mention_note[mention_] != number) break;
    entities.mention_token[mention_] = first_token(entities.mention_begin[mention_], entities.mention_end[mention_], token_begin, token_end);
  }
}

PairCounts pair_counts(const RecordBlock& block, std::size_t row, const Task& task, std::size_t task_number) {
  PairCounts counts;
  counts.candidates = static_cast<std::uint32_t>(candidate_count(task, concept_types_of(block, row)));
  const EntityColumns& entities = block.entities;
  for (auto r = static_cast<std::size_t>(entities.relation_offsets[row]); r < static_cast<std::size_t>(entities.relation_offsets[row + 1]); ++r)
    counts.related += entities.relation_task[r] == task_number ? 1 : 0;
  return counts;
}

}  // namespace tributary
