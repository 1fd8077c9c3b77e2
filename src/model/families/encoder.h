// The text encoder: BertModel without its pooler, built from configuration, as one block for the embeddings and one a layer. Specification, paragraph 1.
// Hidden states travel packed: the real tokens of all windows behind each other, [tokens, d], so that padding costs nothing outside the attention products.
#pragma once

#include <string>

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// Adds the encoder's blocks; returns the name of the last hidden state. Parameters: `encoder.` and the stock BERT names.
[[nodiscard]] std::string add_encoder(BlockList& list, const TextConfig& text, std::int64_t vocabulary_size);

// Row in the packed hidden state of each window's first token. [W] -> [W], int64. This and packed_rows(): where the lengths are.
[[nodiscard]] at::Tensor first_rows(const at::Tensor& window_lengths);

// The embeddings of the vocabulary: what the embedding block and a tied decoder share, trained unless the settings freeze the embeddings.
[[nodiscard]] ParameterSpec word_embeddings(const TextConfig& text, std::int64_t vocabulary_size);

// Row in the packed hidden state of each flat position w * L + i. window_lengths [W], positions [...] -> [...], int64
[[nodiscard]] at::Tensor packed_rows(const at::Tensor& window_lengths, std::int64_t window_tokens, const at::Tensor& positions);

}  // namespace tributary
