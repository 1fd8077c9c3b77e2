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
  std::vector<float> values;        // [rows, task.stored_width()]: 0/1, class number, or the target; 0 where not valid
  std::vector<std::uint8_t> valid;  // [rows]; relation: whether the record's relations are known
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

enum class Novelty : std::uint8_t { not_told = 0, known = 1, novel = 2 };

// Concepts of the records, where their notes mention them, and how they are related. Numbers of notes and concepts count inside the record.
struct EntityColumns {
  std::vector<std::int64_t> concept_offsets;     // [rows + 1]
  std::vector<std::uint8_t> concept_type;        // [concepts], number in Schema::concept_types
  std::vector<std::int64_t> concept_id_offsets;  // [concepts + 1] bytes
  std::string concept_ids;                       // UTF-8; distinct inside a record
  std::vector<std::int64_t> mention_offsets;     // [rows + 1]
  // [mentions], of a record in order of (note, begin, end, concept). A mention of several concepts stands once for each.
  std::vector<std::int32_t> mention_note;
  std::vector<std::int32_t> mention_begin, mention_end;  // bytes of the note's text, begin < end
  std::vector<std::int32_t> mention_concept;             // -1: no concept is known
  std::vector<std::uint8_t> mention_type;
  std::vector<std::int32_t> mention_token;     // of the note's tokens: where the mention begins (entities.h); -1: nowhere. Empty where tokens are not loaded
  std::vector<std::int64_t> relation_offsets;  // [rows + 1]
  // [relations], of a record in order of (task, head, tail), each a candidate of its task; pairs that are not told have class 0.
  std::vector<std::uint8_t> relation_task;  // number in Schema::tasks
  std::vector<std::int32_t> relation_head, relation_tail;
  std::vector<std::uint16_t> relation_class;  // >= 1
  std::vector<std::uint8_t> relation_novelty;
};

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
  EntityColumns entities;
  std::vector<std::uint8_t> images;  // [rows, channels * height * width]; 0 where absent
  std::vector<LabelColumns> labels;  // one a task
};

}  // namespace tributary
