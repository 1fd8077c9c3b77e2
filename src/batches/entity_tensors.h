// Mentions, concepts and pairs of a leaf: which mentions are in the sequences, and which pairs a relation task is trained or measured on.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "batches/batch.h"
#include "batches/row_reader.h"
#include "ingest/tokenizer.h"
#include "shards/entities.h"
#include "shards/schema.h"

namespace tributary {

// What draws in training are keyed by, beside the record; absent in evaluation, which draws nothing.
struct TrainingDraws {
  std::uint64_t seed = 1;
  std::int64_t epoch = 0;
};

// Unrelated pairs of a record that a step is trained on: at most `ratio` for each related one, at least as many as for one; ratio 0: all. Follows from the
// record index alone.
[[nodiscard]] std::int64_t sampled_negatives(const PairCounts& counts, double ratio);

// The pairs of a record that a task uses, ascending, with their classes: all candidates, or in training those of a keyed draw.
struct RecordPair {
  ConceptPair pair;
  std::uint16_t label = 0;
  std::int64_t candidate = 0;  // its number among all candidates
};
[[nodiscard]] std::vector<RecordPair> pairs_of_record(const Task& task, std::size_t task_number, const RowRef& row, double ratio,
                                                      const std::optional<TrainingDraws>& training);

// A note of a leaf that is in its record's sequence.
struct KeptNote {
  std::int64_t record = 0;  // row in the leaf
  std::int64_t note = 0;    // number in the record
  std::int64_t first = 0;   // position of its first token in the sequence
  std::int64_t tokens = 0;  // how many of its tokens are kept
};

// `kept`: in order of record and note. A mention whose first token is not in its record's sequence is dropped; its concept stays, if need be without mentions.
// `ends_by`: the data set's tokenizer, which makes the notes' tokens once more from their text to tell where mentions end; null: their ends stay undefined. A
// mention that goes past the kept tokens ends with them. Throws: Error{data} when a text gives another number of tokens.
[[nodiscard]] MentionTensors make_mention_tensors(const std::vector<RowRef>& rows, const std::vector<KeptNote>& kept, const Tokenizer* ends_by = nullptr);

// Records whose label is not valid take part in evaluation alone, as pairs that are not known.
[[nodiscard]] PairTensors make_pair_tensors(const Task& task, std::size_t task_number, const std::vector<RowRef>& rows, double ratio,
                                            const std::optional<TrainingDraws>& training);

}  // namespace tributary
