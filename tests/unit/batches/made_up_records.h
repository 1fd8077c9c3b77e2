// Records drawn by (part, row), as a reader of shards would return them, with a count of the reads.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/key.h"
#include "batches/row_reader.h"
#include "shards/record_index.h"

namespace tributary {

inline Schema made_up_schema() {
  Schema schema;
  schema.steps = 6;
  schema.statics = {{"age", "years"}, {"weight", "kg"}, {"height", "cm"}};
  schema.series = {{"vitals", {{"heart rate", "1/min"}, {"pressure", "mmHg"}}}, {"labs", {{"sodium", "mmol/L"}, {"lactate", "mmol/L"}, {"ph", "1"}}}};
  schema.notes = true;
  schema.image = {1, 2, 3};
  schema.tasks = {{"death", TaskKind::binary, {"no", "yes"}}, {"stay", TaskKind::multiclass, {"a", "b", "c"}}, {"drugs", TaskKind::multilabel, {"x", "y"}}};
  return schema;
}

inline Normalisation made_up_normalisation() {
  return {{{60, 15, 9}, {80, 20, 9}, {170, 10, 9}}, {{{75, 10, 9}, {90, 12, 9}}, {{140, 4, 9}, {2, 1.5, 9}, {7.4, 0.1, 9}}}};
}

// Draws of one record, in the order they are asked for.
class RecordDraws {
 public:
  RecordDraws(int part, std::int64_t row) : key_(derive_key(Draw::synth, {77, static_cast<std::uint64_t>(part), static_cast<std::uint64_t>(row)})) {}
  double unit() { return uniform(key_, counter_++); }
  std::int64_t below(std::int64_t count) { return static_cast<std::int64_t>(unit() * static_cast<double>(count)); }
  bool chance(double probability) { return unit() < probability; }

 private:
  Key key_;
  std::uint64_t counter_ = 0;
};

inline void append_note(RecordDraws& draws, NoteColumns& notes, std::int64_t steps, std::int64_t tokens) {
  notes.hour.push_back(static_cast<std::int32_t>(draws.below(steps)));
  for (std::int64_t i = 0; i < tokens; ++i) {
    notes.token_ids.push_back(static_cast<std::int32_t>(5 + draws.below(90)));
    const bool paragraph = i == 0 || draws.chance(0.1);
    notes.token_marks.push_back(static_cast<std::uint8_t>(paragraph ? 3 : draws.chance(0.2) ? 1 : 0));
  }
  notes.token_offsets.push_back(static_cast<std::int64_t>(notes.token_ids.size()));
}

inline void append_made_up_record(const Schema& schema, int part, std::int64_t row, Split split, RecordBlock& block) {
  RecordDraws draws(part, row);
  const float nothing = std::numeric_limits<float>::quiet_NaN();  // what is not observed must never be used
  ++block.rows;
  block.ids.push_back(std::to_string(part) + "-" + std::to_string(row));
  block.patient.push_back(static_cast<std::uint64_t>(row));
  block.split.push_back(static_cast<std::uint8_t>(split));
  block.presence.push_back(static_cast<std::uint8_t>(draws.below(16)));
  block.steps.push_back(static_cast<std::int32_t>(draws.below(schema.steps + 1)));
  for (std::size_t s = 0; s < schema.statics.size(); ++s) {
    const bool seen = draws.chance(0.7);
    block.static_observed.push_back(seen ? 1 : 0);
    block.static_values.push_back(seen ? static_cast<float>(200 * draws.unit()) : nothing);
  }
  block.series.resize(schema.series.size());
  for (std::size_t g = 0; g < schema.series.size(); ++g) {
    for (std::int64_t i = 0; i < schema.steps * static_cast<std::int64_t>(schema.series[g].channels.size()); ++i) {
      const bool seen = draws.chance(0.4);
      block.series[g].observed.push_back(seen ? 1 : 0);
      block.series[g].values.push_back(seen ? static_cast<float>(250 * draws.unit()) : nothing);
    }
  }
  const std::int64_t notes = draws.below(4);
  for (std::int64_t n = 0; n < notes; ++n) append_note(draws, block.notes, schema.steps, draws.below(40));
  block.notes.note_offsets.push_back(static_cast<std::int64_t>(block.notes.hour.size()));
  for (std::int64_t i = 0; i < schema.image.size(); ++i) block.images.push_back(static_cast<std::uint8_t>(draws.below(256)));
  block.labels.resize(schema.tasks.size());
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const bool valid = draws.chance(0.8);
    block.labels[t].valid.push_back(valid ? 1 : 0);
    for (std::int64_t w = 0; w < schema.tasks[t].label_width(); ++w) block.labels[t].values.push_back(valid ? static_cast<float>(draws.below(2)) : 0);
  }
}

// A data set whose part p has rows[p] training rows, then 3 validation and 2 test rows.
class MadeUpRecords : public RowSource {
 public:
  MadeUpRecords(std::vector<std::int64_t> training_rows, std::int64_t chunk_rows) : training_rows_(std::move(training_rows)), chunk_rows_(chunk_rows) {}

  [[nodiscard]] RecordBlock read(int part, std::int64_t first, std::int64_t rows) override {
    if (reads_before_failure == 0) fail(ErrorKind::io, "made-up failure at part {}, row {}", part, first);
    if (reads_before_failure > 0) --reads_before_failure;
    ++reads[{part, first}];
    RecordBlock block;
    block.notes.note_offsets = {0};
    block.notes.token_offsets = {0};
    for (std::int64_t row = first; row < first + rows; ++row) append_made_up_record(schema_, part, row, split_of(part, row), block);
    return block;
  }

  [[nodiscard]] RecordIndex index() {
    Catalogue catalogue;
    catalogue.schema = schema_;
    catalogue.chunk_rows = chunk_rows_;
    std::vector<std::vector<IndexRow>> parts;
    for (int part = 0; part < static_cast<int>(training_rows_.size()); ++part) {
      const std::int64_t rows = training_rows_[static_cast<std::size_t>(part)] + 5;
      catalogue.parts.push_back({.rows = {rows - 5, 3, 2}});
      const RecordBlock block = read(part, 0, rows);
      std::vector<IndexRow> entries;
      for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
        IndexRow entry;
        for (std::size_t t = 0; t < block.labels.size(); ++t) entry.labels_valid |= static_cast<std::uint64_t>(block.labels[t].valid[row]) << t;
        entry.presence = block.presence[row];
        entry.split = block.split[row];
        entries.push_back(entry);
      }
      parts.push_back(std::move(entries));
    }
    reads.clear();
    return RecordIndex(catalogue, std::move(parts));
  }

  std::map<std::pair<int, std::int64_t>, int> reads;  // (part, first row) -> times
  int reads_before_failure = -1;                      // negative: never fails

 private:
  [[nodiscard]] Split split_of(int part, std::int64_t row) const {
    const std::int64_t past = row - training_rows_[static_cast<std::size_t>(part)];
    return past < 0 ? Split::train : past < 3 ? Split::validation : Split::test;
  }

  Schema schema_ = made_up_schema();
  std::vector<std::int64_t> training_rows_;
  std::int64_t chunk_rows_;
};

}  // namespace tributary
