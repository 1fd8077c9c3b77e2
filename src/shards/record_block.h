// Consecutive records as raw columns in host memory: what a writer is given and what a reader returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shards/schema.h"

namespace tributary {

struct SeriesColumns {
  std::vector<float> values;           // [rows, T, C], raw units; 0 where not observed
  std::vector<std::uint8_t> observed;  // [rows, T, C], 0 or 1
};

struct LabelColumns {
  std::vector<float> values;        // [rows, task.label_width()]: 0/1, class number, or the target; 0 where not valid
  std::vector<std::uint8_t> valid;  // [rows]
};

// Text of the records' notes. Note k of record r has number note_offsets[r] + k; notes of a record are in order of hour, then of arrival.
struct NoteColumns {
  std::vector<std::int64_t> note_offsets;   // [rows + 1], starts at 0
  std::vector<std::int32_t> hour;           // [notes], 0 <= hour < T
  std::vector<std::int64_t> text_offsets;   // [notes + 1] bytes
  std::string text;                         // UTF-8
  std::vector<std::int64_t> token_offsets;  // [notes + 1]; without [CLS] and [SEP], which belong to the windows
  std::vector<std::int32_t> token_ids;      // [tokens]
  std::vector<std::uint8_t> token_marks;    // [tokens], TokenMark bits
};

// Set on the first token of each sentence or paragraph (of each note's first token both).
enum TokenMark : std::uint8_t { starts_sentence = 1, starts_paragraph = 2 };

struct RecordBlock {
  std::int64_t rows = 0;
  std::vector<std::string> ids;               // [rows], the source's own record id
  std::vector<std::uint64_t> patient;         // [rows], patient hash
  std::vector<std::uint8_t> split;            // [rows], Split
  std::vector<std::uint8_t> presence;         // [rows], Presence bits
  std::vector<std::int32_t> steps;            // [rows], valid hours (a prefix), <= T
  std::vector<float> static_values;           // [rows, S], raw units; 0 where not observed
  std::vector<std::uint8_t> static_observed;  // [rows, S]
  std::vector<SeriesColumns> series;          // one a group
  NoteColumns notes;
  std::vector<std::uint8_t> images;  // [rows, channels * height * width]; 0 where absent
  std::vector<LabelColumns> labels;  // one a task
};

}  // namespace tributary
