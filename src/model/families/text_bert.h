// text_bert: the entity-marked BERT baseline for relations. The encoder reads one sequence a pair of concepts, the record's text with markers around the
// mentions of both (batches/pair_sequences.h); a linear layer on the last hidden state of [CLS] gives the classes. Specification, section 6.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// Parameters: those of the encoder and `relation.out`. Throws: Error{configuration} when the settings do not fit each other or the data set.
[[nodiscard]] BlockList text_bert(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size);

}  // namespace tributary
