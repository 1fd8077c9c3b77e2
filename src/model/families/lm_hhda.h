// LM-HHDA: text encoder, hierarchical residual LSTM, multi-scale convolutions, dynamic ReLU and global attention over the hourly timeline of a record.
// Source: Lv et al., Information Fusion 2024; the readings chosen where the paper is open are those of the specification, section 1.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// The blocks for a data set: the text part only where it has notes, branches only for its sensor groups.
// Throws: Error{configuration} when the settings do not fit each other or the data set.
[[nodiscard]] BlockList lm_hhda(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size);

}  // namespace tributary
