// One leaf's records as tensors: the value that travels from collator to model.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "shards/record_index.h"
#include "shards/schema.h"

namespace tributary {

// B records, T hours, C channels of a group, S static features, W token windows of L tokens, N tokens, D documents (notes).
// Absent inputs and positions past a record's own length may hold anything; masks say what is real.
struct SeriesTensors {
  at::Tensor value;     // [B, T, C] float, normalised and imputed
  at::Tensor observed;  // [B, T, C] float, 0 or 1
  at::Tensor delta;     // [B, T, C] float, hours since the channel's last measurement, min(., 48) / 48; 1 if never
};

struct NoteTensors {
  at::Tensor window_ids;          // [W, L] int64, [CLS] ... [SEP] then padding
  at::Tensor window_lengths;      // [W] int64, real tokens with [CLS] and [SEP]
  at::Tensor token_position;      // [N] int64, index into the flattened [W * L]: where the token lies furthest from an edge
  at::Tensor token_sentence;      // [N] int64, sentence number in the leaf, ascending
  at::Tensor sentence_paragraph;  // [sentences] int64
  at::Tensor paragraph_document;  // [paragraphs] int64
  at::Tensor document_record;     // [D] int64, row in the leaf
  at::Tensor document_hour;       // [D] int64
  at::Tensor hidden;              // [sum of window_lengths, d] the encoder's last hidden state, from a cache; undefined: the encoder runs
  [[nodiscard]] std::int64_t documents() const { return document_record.defined() ? document_record.size(0) : 0; }
};

struct LabelTensors {
  at::Tensor value;  // [B, label_width] float
  at::Tensor valid;  // [B] bool
};

struct Batch {
  std::vector<RecordPlace> places;    // [B], for errors and predictions
  std::vector<SeriesTensors> series;  // one a group of the schema
  at::Tensor steps;                   // [B] int64, valid hours
  at::Tensor static_value;            // [B, S] float, normalised
  at::Tensor static_observed;         // [B, S] float
  NoteTensors notes;
  at::Tensor image;                  // [B, channels, height, width] float in [0, 1]; undefined without images
  at::Tensor presence;               // [B, 4] bool: static, series, notes, image
  std::vector<LabelTensors> labels;  // one a task
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(places.size()); }
};

// Every floating tensor converted; for comparisons in double.
[[nodiscard]] Batch to_type(const Batch& batch, at::ScalarType type);

}  // namespace tributary
