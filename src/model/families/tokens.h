// The sequence of tokens mode: the tokens of a record's notes one after the other, each beside what the record's entities say to it.
// Specification, paragraph 2.
#pragma once

#include "model/block.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Adds the block that lays the encoder's last hidden state out by record: e [B, T, d], 0 past the record's own tokens.
[[nodiscard]] SequenceTensor add_token_sequence(BlockList& list, const TextConfig& text, const SequenceLayout& layout, const std::string& hidden);

// Adds the entity-aware bilinear attention: t_i = [e_i ; c_i], c_i = sum_j softmax_j(e_i W_a e_mj) e_mj over the record's mentions, 0 where it has none.
// A mention of several concepts counts once.
[[nodiscard]] SequenceTensor add_entity_attention(BlockList& list, const SequenceLayout& layout, const SequenceTensor& tokens);

}  // namespace tributary
