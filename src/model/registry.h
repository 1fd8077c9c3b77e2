// Model families by name.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// The blocks of `settings.model.family` for a data set; `vocabulary_size`: tokens of its vocabulary (any number without notes).
// Throws: Error{configuration} for an unknown family, and for settings that do not fit each other or the data set: key, expected, found.
[[nodiscard]] BlockList build_model(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size);

// Throws: Error{configuration} when token windows of the collator would be longer than the encoder's learned positions.
void check_window(const ModelSettings& settings, std::int64_t window_tokens);

}  // namespace tributary
