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

// Windows: of the notes; or, where a model reads marked pairs, one a pair of its relation task, and then only window_ids, window_lengths, record_tokens and
// hidden are defined.
struct NoteTensors {
  at::Tensor window_ids;          // [W, L] int64, [CLS] ... [SEP] then padding
  at::Tensor window_lengths;      // [W] int64, real tokens with [CLS] and [SEP]
  at::Tensor token_position;      // [N] int64, index into the flattened [W * L]: where the token lies furthest from an edge
  at::Tensor token_sentence;      // [N] int64, sentence number in the leaf, ascending
  at::Tensor sentence_paragraph;  // [sentences] int64
  at::Tensor paragraph_document;  // [paragraphs] int64
  at::Tensor document_record;     // [D] int64, row in the leaf
  at::Tensor document_hour;       // [D] int64
  at::Tensor record_tokens;       // [B] int64, n_b: tokens of the record's sequence, its notes one after the other; the N tokens stand in this order
  at::Tensor masked_position;     // [M] int64, into the flattened [W * L]: tokens to be told by the model, in the order of the N; undefined without masking
  at::Tensor masked_token;        // [M] int64, which they were; window_ids has what stands in their place
  at::Tensor
      hidden;  // [sum of window_lengths, d] the encoder's last hidden state, from a cache; of marked pairs [W, d], that of [CLS]; undefined: the encoder runs
  [[nodiscard]] std::int64_t windows() const { return window_lengths.defined() ? window_lengths.size(0) : 0; }
  [[nodiscard]] std::int64_t documents() const { return document_record.defined() ? document_record.size(0) : 0; }
};

// M mentions whose first token is in the sequences, K concepts of the leaf's records. Undefined where the data set has no concept types.
struct MentionTensors {
  at::Tensor token;                  // [M] int64, position of the mention's first token in its record's sequence
  at::Tensor end;                    // [M] int64, one past its last token; undefined where it is not asked for
  at::Tensor record;                 // [M] int64, row in the leaf, ascending
  at::Tensor concept_number;         // [M] int64, concept of the leaf; -1: none is known
  at::Tensor distinct;               // [places] int64, ascending: one mention of each place in the text, where some stand once for each of several concepts
  at::Tensor concept_record;         // [K] int64, row in the leaf, ascending
  std::int64_t dropped = 0;          // mentions cut off or without a token
  std::int64_t silent_concepts = 0;  // concepts that no mention is left of: the mean over none is the zero vector, and their pairs stay
};

// P pairs of concepts, in order of record, head, tail. In training the sampled ones of records with relations known; else all candidates.
struct PairTensors {
  at::Tensor head, tail;  // [P] int64, concepts of the leaf
  at::Tensor record;      // [P] int64, row in the leaf
  at::Tensor label;       // [P] int64, class; 0: not related
  at::Tensor known;       // [P] bool
  at::Tensor candidate;   // [P] int64, number of the pair among all candidates of its record
};

struct LabelTensors {
  at::Tensor value;  // [B, label_width] float; relation: [P, 1], class of each pair; masked_token: [M, 1], the token
  at::Tensor valid;  // [B] bool; relation: [P]; masked_token: [M]
};

struct Batch {
  std::vector<RecordPlace> places;    // [B], for errors and predictions
  std::vector<SeriesTensors> series;  // one a group of the schema
  at::Tensor steps;                   // [B] int64, valid hours
  at::Tensor static_value;            // [B, S] float, normalised
  at::Tensor static_observed;         // [B, S] float
  NoteTensors notes;
  MentionTensors mentions;
  at::Tensor image;                  // [B, channels, height, width] float in [0, 1]; undefined without images
  at::Tensor presence;               // [B, 4] bool: static, series, notes, image
  std::vector<LabelTensors> labels;  // one a task; undefined tensors where labels are not read, for relation tasks also where entities are not read
  std::vector<PairTensors> pairs;    // one a task; undefined tensors there and for other kinds
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(places.size()); }
};

// Every floating tensor converted; for comparisons in double.
[[nodiscard]] Batch to_type(const Batch& batch, at::ScalarType type);

// The leaf where and in what a model computes: every tensor on `device`, floating inputs and cached hidden states in `type`. Labels are float32 whatever the
// type: half precision does not hold the number of a class or a token. What is there already is shared, not copied. Blocks: until the copies are there.
[[nodiscard]] Batch on_device(const Batch& host, at::Device device, at::ScalarType type);

}  // namespace tributary
