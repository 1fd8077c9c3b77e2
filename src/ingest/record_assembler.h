// A part's events to its records, as columns.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ingest/dictionary.h"
#include "ingest/event.h"
#include "ingest/recipe.h"
#include "ingest/record_entities.h"
#include "ingest/record_layout.h"
#include "ingest/sample_index.h"
#include "ingest/table_events.h"
#include "ingest/tokenizer.h"
#include "shards/record_block.h"

namespace tributary {

class RecordAssembler {
 public:
  // `tokenizer` may be null: then the notes have no tokens (for fitting the vocabulary); `dictionary` may be null: then only documents have mentions.
  // Keeps references to all arguments.
  RecordAssembler(const Recipe& recipe, const RecordLayout& layout, const Tokenizer* tokenizer, const Dictionary* dictionary = nullptr);

  // Rows [first, first + count) of the part whose rows and events are given.
  [[nodiscard]] RecordBlock assemble(const std::vector<SampleRow>& rows, const EventList& events, std::int64_t first, std::int64_t count) const;

 private:
  struct RowEvents;
  void add_series(RecordBlock& block, std::size_t row, const RowEvents& events) const;
  void add_statics(RecordBlock& block, std::size_t row, const RowEvents& events) const;
  void add_notes(RecordBlock& block, std::size_t row, const RowEvents& events) const;
  void add_document(RecordBlock& block, std::size_t row, const RowEvents& events) const;
  void add_note(RecordBlock& block, std::size_t row, std::int32_t hour, const std::string& text, std::int32_t number, RecordEntities& entities) const;
  void add_labels(RecordBlock& block, std::size_t row, const RowEvents& events) const;

  const Recipe& recipe_;
  const RecordLayout& layout_;
  const Tokenizer* tokenizer_;
  const Dictionary* dictionary_;
  std::vector<Target> targets_;
};

}  // namespace tributary
