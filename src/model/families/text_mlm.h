// Masked language modelling: the text encoder learns from notes alone, by telling the tokens that the batch hides.
// Source: Devlin et al., "BERT: pre-training of deep bidirectional transformers" (NAACL 2019), 3.1.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// The data set's schema and behind its tasks the one of this family, which no data set holds: `masked_tokens`.
// Throws: Error{configuration} when the data set has a task of that name.
[[nodiscard]] Schema with_masked_tokens(Schema stored);

// The encoder's blocks, the transform of the masked positions, and the decoder, whose weight is that of the word embeddings (frozen where they are).
// `schema`: of the data set, without the family's task. Parameters: those of the encoder, and `cls.predictions.` with the stock BERT names.
// Throws: Error{configuration} when the settings do not fit each other or the data set.
[[nodiscard]] BlockList text_mlm(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size);

}  // namespace tributary
