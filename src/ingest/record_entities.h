// Concepts, mentions and relations of one record on their way from a source into columns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shards/record_block.h"

namespace tributary {

struct RecordConcept {
  std::string id;
  std::uint8_t type = 0;
};

struct RecordMention {
  std::int32_t note = 0, begin = 0, end = 0;  // bytes of the note's text
  std::int32_t concept_number = -1;           // in the record
  std::uint8_t type = 0;
  std::int32_t token = -1;  // first token in the note
};

struct RecordRelation {
  std::uint32_t task = 0;  // number of the recipe's task rule
  std::int32_t head = 0, tail = 0;
  std::uint16_t label = 0;
  Novelty novelty = Novelty::not_told;
};

struct RecordEntities {
  std::vector<RecordConcept> concepts;
  std::vector<RecordMention> mentions;
  std::vector<RecordRelation> relations;

  // Mentions come in order of (note, begin, end), each place once. A concept has the type of its first mention. Without `ids` no concept is known.
  void add_mention(std::int32_t note, std::int32_t begin, std::int32_t end, std::uint8_t type, const std::vector<std::string>& ids);
  [[nodiscard]] std::int32_t find(std::string_view id) const;  // number of the concept; -1: the record does not mention it
  [[nodiscard]] std::vector<std::uint8_t> types() const;       // of the concepts
  // First tokens of the mentions of a note, from the bytes of its tokens.
  void set_tokens(std::int32_t note, std::span<const std::int32_t> token_begin, std::span<const std::int32_t> token_end);
};

// Adds a record. `task_numbers`: of the schema, for each task rule; relations of a task that the schema lacks (-1) are left out.
void append_record(const RecordEntities& record, const std::vector<int>& task_numbers, EntityColumns& columns);

// A text with its entities as bytes, for the way through a file.
struct AnnotatedText {
  std::string text;  // UTF-8
  RecordEntities entities;
};
[[nodiscard]] std::string to_bytes(const AnnotatedText& document);
[[nodiscard]] AnnotatedText annotated_text_from(std::string_view bytes);

}  // namespace tributary
