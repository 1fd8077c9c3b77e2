#include "batches/entity_tensors.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <tuple>

#include "base/error.h"
#include "base/key.h"
#include "batches/tensors.h"

namespace tributary {
namespace {

std::pair<std::size_t, std::size_t> range_of(const std::vector<std::int64_t>& offsets, std::size_t row) {
  return {static_cast<std::size_t>(offsets[row]), static_cast<std::size_t>(offsets[row + 1])};
}

std::int64_t concepts_of(const RowRef& row) { return static_cast<std::int64_t>(concept_types_of(*row.block, static_cast<std::size_t>(row.row)).size()); }

// `count` of [0, size), ascending, by a keyed bijection.
std::vector<std::size_t> chosen(const Key& key, std::size_t size, std::int64_t count) {
  const Permutation shuffle(key, size);
  std::vector<std::size_t> places;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) places.push_back(static_cast<std::size_t>(shuffle(i)));
  std::sort(places.begin(), places.end());
  return places;
}

// Where mentions end, from the texts of their notes, one note after the other.
class TokenEnds {
 public:
  explicit TokenEnds(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // One past the last token of mention `m` of the row's block, counted in its note.
  [[nodiscard]] std::int64_t of(const RowRef& row, std::size_t m) {
    const EntityColumns& entities = row.block->entities;
    const auto note = static_cast<std::size_t>(row.block->notes.note_offsets[static_cast<std::size_t>(row.row)] + entities.mention_note[m]);
    if (block_ != row.block.get() || note_ != note) read(row, note);
    const auto after = std::lower_bound(encoding_.begin.begin(), encoding_.begin.end(), entities.mention_end[m]) - encoding_.begin.begin();
    return std::max<std::int64_t>(after, entities.mention_token[m] + 1);
  }

 private:
  void read(const RowRef& row, std::size_t note) {
    const NoteColumns& notes = row.block->notes;
    const auto begin = static_cast<std::size_t>(notes.text_offsets[note]), end = static_cast<std::size_t>(notes.text_offsets[note + 1]);
    tokenizer_.encode(std::string_view(notes.text).substr(begin, end - begin), encoding_);
    const std::int64_t stored = notes.token_offsets[note + 1] - notes.token_offsets[note];
    if (static_cast<std::int64_t>(encoding_.ids.size()) != stored)
      fail(ErrorKind::data, "part {}, row {}: the text of a note gives {} tokens, the data set holds {} of it; run `tributary shards retokenize`",
           row.place.part, row.place.row, encoding_.ids.size(), stored);
    block_ = row.block.get();
    note_ = note;
  }

  const Tokenizer& tokenizer_;
  const RecordBlock* block_ = nullptr;
  std::size_t note_ = 0;
  Encoding encoding_;
};

}  // namespace

std::int64_t sampled_negatives(const PairCounts& counts, double ratio) {
  const auto negatives = static_cast<std::int64_t>(counts.candidates) - static_cast<std::int64_t>(counts.related);
  if (ratio == 0) return negatives;
  return std::min(negatives, static_cast<std::int64_t>(std::ceil(ratio * std::max(1.0, static_cast<double>(counts.related)))));
}

std::vector<RecordPair> pairs_of_record(const Task& task, std::size_t task_number, const RowRef& row, double ratio,
                                        const std::optional<TrainingDraws>& training) {
  const RecordBlock& block = *row.block;
  const EntityColumns& entities = block.entities;
  const auto own = static_cast<std::size_t>(row.row);
  std::vector<RecordPair> related, negatives;
  const auto [first, last] = range_of(entities.relation_offsets, own);
  for (std::size_t r = first; r < last; ++r)
    if (entities.relation_task[r] == task_number) related.push_back({{entities.relation_head[r], entities.relation_tail[r]}, entities.relation_class[r], 0});
  auto next = related.begin();
  std::int64_t candidate = 0;
  for (const ConceptPair& pair : candidate_pairs(task, concept_types_of(block, own))) {
    if (next != related.end() && next->pair == pair)
      (next++)->candidate = candidate;
    else
      negatives.push_back({pair, 0, candidate});
    ++candidate;
  }
  const std::size_t total = negatives.size();
  if (training) {
    const PairCounts counts{static_cast<std::uint32_t>(total + related.size()), static_cast<std::uint32_t>(related.size())};
    const Key key = derive_key(Draw::negatives, {training->seed, static_cast<std::uint64_t>(training->epoch), static_cast<std::uint64_t>(row.place.part),
                                                 static_cast<std::uint64_t>(row.place.row), static_cast<std::uint64_t>(task_number)});
    std::vector<RecordPair> drawn;
    if (const std::int64_t wanted = sampled_negatives(counts, ratio); wanted < static_cast<std::int64_t>(total)) {
      for (const std::size_t place : chosen(key, total, wanted)) drawn.push_back(negatives[place]);
      negatives = std::move(drawn);
    }
  }
  std::vector<RecordPair> pairs(related.size() + negatives.size());
  std::merge(related.begin(), related.end(), negatives.begin(), negatives.end(), pairs.begin(),
             [](const RecordPair& a, const RecordPair& b) { return a.pair < b.pair; });
  return pairs;
}

MentionTensors make_mention_tensors(const std::vector<RowRef>& rows, const std::vector<KeptNote>& kept, const Tokenizer* ends_by) {
  std::vector<std::int64_t> token, end, record, concept_number, distinct, concept_record;
  std::vector<bool> mentioned;
  MentionTensors out;
  std::optional<TokenEnds> ends;
  if (ends_by != nullptr) ends.emplace(*ends_by);
  auto note = kept.begin();
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const EntityColumns& entities = rows[b].block->entities;
    const auto row = static_cast<std::int64_t>(b), base = static_cast<std::int64_t>(concept_record.size());
    concept_record.insert(concept_record.end(), static_cast<std::size_t>(concepts_of(rows[b])), row);
    const auto place = [&](std::size_t m) { return std::tuple(entities.mention_note[m], entities.mention_begin[m], entities.mention_end[m]); };
    const auto [first, last] = range_of(entities.mention_offsets, static_cast<std::size_t>(rows[b].row));
    for (std::size_t m = first; m < last; ++m) {
      while (note != kept.end() && (note->record < row || (note->record == row && note->note < entities.mention_note[m]))) ++note;
      const bool in_kept_note = note != kept.end() && note->record == row && note->note == entities.mention_note[m];
      if (!in_kept_note || entities.mention_token[m] < 0 || entities.mention_token[m] >= note->tokens) {
        ++out.dropped;
        continue;
      }
      // Of one place all concepts are kept or none: they have the same first token.
      if (m == first || place(m) != place(m - 1)) distinct.push_back(static_cast<std::int64_t>(token.size()));
      token.push_back(note->first + entities.mention_token[m]);
      if (ends) end.push_back(note->first + std::min(note->tokens, ends->of(rows[b], m)));
      record.push_back(row);
      concept_number.push_back(entities.mention_concept[m] < 0 ? -1 : base + entities.mention_concept[m]);
    }
  }
  mentioned.assign(concept_record.size(), false);
  for (const std::int64_t number : concept_number)
    if (number >= 0) mentioned[static_cast<std::size_t>(number)] = true;
  out.silent_concepts = std::count(mentioned.begin(), mentioned.end(), false);
  out.token = tensor_of(token);
  if (ends) out.end = tensor_of(end);
  out.record = tensor_of(record);
  out.concept_number = tensor_of(concept_number);
  out.distinct = tensor_of(distinct);
  out.concept_record = tensor_of(concept_record);
  return out;
}

PairTensors make_pair_tensors(const Task& task, std::size_t task_number, const std::vector<RowRef>& rows, double ratio,
                              const std::optional<TrainingDraws>& training) {
  std::vector<std::int64_t> head, tail, record, label, known, candidate;
  std::int64_t base = 0;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const bool valid = rows[b].block->labels[task_number].valid[static_cast<std::size_t>(rows[b].row)] != 0;
    if (valid || !training) {
      for (const RecordPair& pair : pairs_of_record(task, task_number, rows[b], ratio, training)) {
        head.push_back(base + pair.pair.head);
        tail.push_back(base + pair.pair.tail);
        record.push_back(static_cast<std::int64_t>(b));
        label.push_back(pair.label);
        known.push_back(valid ? 1 : 0);
        candidate.push_back(pair.candidate);
      }
    }
    base += concepts_of(rows[b]);
  }
  return {tensor_of(head), tensor_of(tail), tensor_of(record), tensor_of(label), tensor_of(known).to(at::kBool), tensor_of(candidate)};
}

}  // namespace tributary
