// [data]: where records come from and how they become batches.
#pragma once

#include "base/fields.h"

namespace tributary {

struct DataConfig {
  std::string shards;
  std::string verify = "stamp";
  std::string imputation = "carry_forward";
  double clip = 8;
  std::int64_t window_blocks = 8;
  std::int64_t window_tokens = 512;
  std::int64_t window_stride = 384;
  std::int64_t notes_per_record = 0;
  std::int64_t tokens_per_note = 0;
  double negatives = 0;
  double mask_fraction = 0.15;
  std::vector<std::string> leave_out;
};

inline Section section_of(DataConfig& c) {
  return {"data",
          {{"shards", &c.shards, "directory of the data set (made by `tributary shards synth` or `shards build`)"},
           {"verify", &c.verify, "check the parts' digests at first touch", {"always", "stamp", "never"}},
           {"imputation", &c.imputation, "value of an hour without a measurement: the last one seen, or the mean", {"carry_forward", "mean"}},
           {"clip", &c.clip, "normalised values are limited to +- this", {}, 1, 1e6},
           {"window_blocks", &c.window_blocks, "rows are shuffled inside this many chunks of a lane; more = better mixed, more memory", {}, 1, 1e6},
           {"window_tokens", &c.window_tokens, "longest token window with [CLS] and [SEP]; at most the encoder's positions", {}, 8, 1e6},
           {"window_stride", &c.window_stride, "distance between windows of a longer note", {}, 1, 1e6},
           {"notes_per_record", &c.notes_per_record, "keep only the last so many notes of a record; 0 = all", {}, 0, 1e9},
           {"tokens_per_note", &c.tokens_per_note, "keep only the first so many tokens of a note; 0 = all", {}, 0, 1e9},
           {"negatives", &c.negatives, "relation tasks in training: unrelated pairs for each related one of a record (at least for one); 0 = all", {}, 0, 1e6},
           {"mask_fraction", &c.mask_fraction, "family text_mlm: share of the tokens that the model has to tell", {}, 1e-3, 0.9},
           {"leave_out", &c.leave_out, "modalities to treat as absent: notes, series, static, image"}}};
}

}  // namespace tributary
