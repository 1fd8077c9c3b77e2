// Tokens -> sentences -> paragraphs -> documents -> hours: the note part of the timeline. Specification, paragraphs 3 and 5.
#pragma once

#include <string>

#include "model/block.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Adds the block that turns the encoder's last hidden state into "notes.hours" [B, T, d + 1]: the mean document embedding of the hour's notes, and the
// flag that there is one.
[[nodiscard]] SequenceTensor add_note_embedding(BlockList& list, const TextConfig& text, const SequenceLayout& layout, const std::string& hidden);

}  // namespace tributary
