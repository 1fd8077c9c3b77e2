// A Hugging Face folder of a BERT encoder: config.json, model.safetensors (or an index of several) and the vocabulary; read into a model's parameters, and
// written from them under the stock names. Pickled weights are never read.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"
#include "model/parameters.h"

namespace tributary {

struct EncoderArchitecture {
  std::int64_t layers = 0, width = 0, heads = 0, intermediate = 0, positions = 0, type_vocabulary = 2, vocabulary = 0;
  double layer_norm_epsilon = 1e-12;
};

// From the text of a config.json. Throws: Error{data} for what the encoder does not compute: another model type, activation than gelu (erf), relative
// positions, a decoder; and for sizes that are missing or no whole numbers. `where`: how messages call the text.
[[nodiscard]] EncoderArchitecture encoder_architecture(std::string_view config_json, const std::string& where);

// What a folder holds: the encoder alone, or with the decoder of masked tokens (family text_mlm).
enum class EncoderKind { plain, masked_language_model };

// The config.json of an encoder built from settings.
[[nodiscard]] std::string encoder_config_json(const TextConfig& text, std::int64_t vocabulary_size, std::int64_t padding_token,
                                              EncoderKind kind = EncoderKind::plain);

// Throws: Error{data} unless the folder's vocabulary (vocab.txt, else tokenizer.json, else the size in config.json) is `vocabulary`, line by line; `shards`:
// the data set that `vocabulary` is of, for the message.
void require_vocabulary(const std::filesystem::path& folder, const std::vector<std::string>& vocabulary, const std::string& shards);

// Fills every parameter `encoder.*` of the arena. Names may carry `bert.` in front and LayerNorm's old names gamma and beta. Returns the folder's tensors
// that are not part of the encoder (pooler, heads, position_ids).
// Throws: Error{missing}, Error{data} naming a tensor that lacks, has another shape or type, or holds values that are not finite.
[[nodiscard]] std::vector<std::string> read_encoder(const std::filesystem::path& folder, const ParameterLayout& layout, const at::Tensor& arena);

// Fills the parameters `cls.predictions.*` of the arena where the folder has them. Returns the folder's tensors that were used; none where it has no decoder.
// Throws: as read_encoder, also for a decoder that is not complete, or whose weight is not that of the word embeddings.
[[nodiscard]] std::vector<std::string> read_masked_decoder(const std::filesystem::path& folder, const ParameterLayout& layout, const at::Tensor& arena);

// Hex SHA-256 over the architecture and the bytes of every parameter `encoder.*`: equal for encoders that compute the same.
[[nodiscard]] std::string encoder_digest(const TextConfig& text, const ParameterLayout& layout, const at::Tensor& arena);

// Writes config.json, model.safetensors and vocab.txt, which `AutoModel` opens, into an existing folder; a layout with `cls.predictions.*` as a folder that
// `AutoModelForMaskedLM` opens (encoder names with `bert.` in front). Throws: Error{cannot_create, io}.
void write_encoder(const std::filesystem::path& folder, const TextConfig& text, const ParameterLayout& layout, const at::Tensor& arena,
                   const std::vector<std::string>& vocabulary);

}  // namespace tributary
