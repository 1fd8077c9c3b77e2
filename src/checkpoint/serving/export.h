// What a server needs, in one directory: weights, architecture, vocabulary, preprocessing, model card.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "model/parameters.h"

namespace tributary {

struct ExportContents {
  const ParameterLayout& layout;
  const at::Tensor& parameters;                 // the arena
  std::map<std::string, std::string> metadata;  // of model.safetensors
  std::string config_json;
  std::string preprocessing_json;
  std::vector<std::string> vocabulary;                // vocab.txt; not written when empty
  std::string card;                                   // README.md
  std::string tokenizer_json, tokenizer_config_json;  // not written when empty
  const TextConfig* text = nullptr;                   // of a model with an encoder: written as a folder of its own too; null: none
};

// Writes model.safetensors, config.json, preprocessing.json, vocab.txt with the two files of the tokenizer, README.md and encoder/ beside `directory`, reads
// the weights back, compares, renames. Throws: Error{cannot_create} when `directory` exists and is not empty, Error{io}; then nothing stands under its name.
void export_model(const std::filesystem::path& directory, const ExportContents& contents);

}  // namespace tributary
