// Raw columns to tensors of one leaf: normalised, clipped, imputed, cut into token windows. Pure: the same rows give the same bits anywhere.
#pragma once

#include <optional>
#include <vector>

#include "batches/batch.h"
#include "batches/data_config.h"
#include "batches/entity_tensors.h"
#include "batches/masking.h"
#include "batches/note_windows.h"
#include "batches/pair_sequences.h"
#include "batches/row_reader.h"
#include "ingest/tokenizer.h"
#include "shards/catalogue.h"

namespace tributary {

// Throws: Error{configuration} with one line for each value that does not fit: token windows and their stride, names of modalities.
void check_settings(const DataConfig& config);

// Columns a collator of this configuration needs.
[[nodiscard]] FieldSelection fields_to_read(const Schema& schema, const DataConfig& config);

// Series: x = (value - mean) / deviation limited to +- clip; an hour without a measurement takes the last x of the channel (carry_forward), before the first
// and with `mean` 0. A series that is absent or left out equals one in which nothing was measured. Hours past a record's steps are 0 everywhere.
// Static values likewise; what was not observed is 0. Images: byte / 255. Notes: the last notes_per_record notes, the first tokens_per_note tokens of each;
// notes without tokens are skipped; an hour past the record's steps becomes its last valid hour (0 for a record of no hours).
class Collator {
 public:
  // `read`: the columns that the blocks hold. Series, static values and notes that are not read are filled as absent ones, images and labels are left
  // undefined; `presence` says in any case what the record has.
  // `marking`: the windows are the marked pairs of its task, in their order, in place of those of the notes; the columns of text, concepts and labels must be
  // read.
  // `schema`: that of the blocks, behind whose tasks may stand one of masked tokens, made by `masking`.
  // Throws: Error{configuration} naming the key; Error{data} when the normalisation does not fit the schema.
  Collator(Schema schema, const Normalisation& normalisation, const SpecialTokens& special, const DataConfig& config, const FieldSelection& read = {},
           std::optional<PairMarking> marking = {}, std::optional<MaskingRule> masking = {});

  // `training`: what the draws of a training step are keyed by; without it, in evaluation, only masked tokens are drawn. Concepts are needed whatever is left
  // out, pairs come with concepts and labels, mentions with the tokens. Throws: Error{data} when a block's columns do not fit the schema (part, row).
  [[nodiscard]] Batch collate(const std::vector<RowRef>& rows, const std::optional<TrainingDraws>& training = {}) const;

 private:
  struct Scale {  // x = (value - mean) * inverse
    std::vector<double> mean, inverse;
  };
  [[nodiscard]] static Scale scale_of(const std::vector<ChannelStatistics>& statistics);
  [[nodiscard]] bool shows(const RowRef& row, Presence bit) const;
  [[nodiscard]] bool holds(const RowRef& row, Presence bit) const;  // shows, and its columns are read
  void check_rows(const std::vector<RowRef>& rows) const;
  [[nodiscard]] SeriesTensors collate_series(const std::vector<RowRef>& rows, std::size_t group) const;
  void collate_statics(const std::vector<RowRef>& rows, Batch& batch) const;
  void collate_presence(const std::vector<RowRef>& rows, Batch& batch) const;
  [[nodiscard]] NoteTensors collate_notes(const std::vector<RowRef>& rows, const std::optional<TrainingDraws>& training, std::vector<KeptNote>& kept) const;
  [[nodiscard]] NoteTensors note_tensors(std::vector<NoteSpan> spans, const std::vector<MaskedNote>& masked) const;
  [[nodiscard]] at::Tensor collate_images(const std::vector<RowRef>& rows) const;
  void collate_task(const std::vector<RowRef>& rows, std::size_t task, const std::optional<TrainingDraws>& training, Batch& batch) const;
  void collate_pairs(const std::vector<RowRef>& rows, std::size_t task, const std::optional<TrainingDraws>& training, Batch& batch) const;
  [[nodiscard]] LabelTensors collate_labels(const std::vector<RowRef>& rows, std::size_t task) const;

  Schema schema_;
  SpecialTokens special_;
  DataConfig config_;
  std::optional<PairMarking> marking_;
  Scale statics_;
  std::vector<Scale> series_;
  std::optional<MaskingRule> masking_;
  std::int64_t stored_tasks_ = 0;
  FieldSelection fields_;  // both wanted by the settings and read
  bool reads_images_;
  unsigned kept_ = 0;  // Presence bits that are not left out
};

}  // namespace tributary
