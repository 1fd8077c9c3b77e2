// Model families by name.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// What the model's task numbers refer to: the data set's schema, behind whose tasks stand those that the family makes itself (text_mlm: masked tokens).
// Throws: Error{configuration} when the data set has a task of such a name.
[[nodiscard]] Schema schema_of_model(const ModelSettings& settings, const Schema& stored);

// The blocks of `settings.model.family` for a data set; `vocabulary_size`: tokens of its vocabulary (any number without notes).
// `schema`: as the data set stores it.
// Throws: Error{configuration} for an unknown family, and for settings that do not fit each other or the data set: key, expected, found.
[[nodiscard]] BlockList build_model(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size);

// Throws: Error{configuration} when token windows of the collator would be longer than the encoder's learned positions.
void check_window(const ModelSettings& settings, std::int64_t window_tokens);

}  // namespace tributary
