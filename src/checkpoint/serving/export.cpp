#include "checkpoint/serving/export.h"

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/encoder_folder.h"
#include "checkpoint/serving/safetensors.h"
#include "shards/staging.h"

namespace tributary {
namespace {

std::vector<TensorView> views_of(const ExportContents& contents) {
  std::vector<TensorView> views;
  for (const ParameterEntry& entry : contents.layout.entries) {
    views.push_back({entry.spec.name, entry.spec.shape, contents.parameters.data_ptr<float>() + entry.offset});
  }
  return views;
}

void compare(const std::filesystem::path& path, const std::vector<TensorView>& views) {
  const auto found = read_safetensors(path);
  check(found.size() == views.size(), "{}: {} tensors read back, {} written", path.string(), found.size(), views.size());
  for (const TensorView& view : views) {
    const LoadedTensor& tensor = found.at(view.name);
    if (tensor.shape != view.shape || std::memcmp(tensor.values.data(), view.data, tensor.values.size() * sizeof(float)) != 0) {
      fail(ErrorKind::io, "{}: '{}' read back is not what was written; is the disk full or failing?", path.string(), view.name);
    }
  }
}

// Beside a vocab.txt.
void write_tokenizer(const std::filesystem::path& folder, const ExportContents& contents) {
  if (!contents.tokenizer_json.empty()) write_file(folder / "tokenizer.json", contents.tokenizer_json);
  if (!contents.tokenizer_config_json.empty()) write_file(folder / "tokenizer_config.json", contents.tokenizer_config_json);
}

}  // namespace

void export_model(const std::filesystem::path& directory, const ExportContents& contents) {
  check(contents.parameters.scalar_type() == at::kFloat && contents.parameters.is_contiguous(), "export_model: parameters must be a float arena");
  refuse_existing(directory);
  const auto staging = make_staging(directory);
  try {
    const auto views = views_of(contents);
    write_safetensors(staging / "model.safetensors", views, contents.metadata);
    compare(staging / "model.safetensors", views);
    write_file(staging / "config.json", contents.config_json);
    write_file(staging / "preprocessing.json", contents.preprocessing_json);
    if (!contents.vocabulary.empty()) {
      std::string lines;
      for (const std::string& token : contents.vocabulary) lines += token + "\n";
      write_file(staging / "vocab.txt", lines);
    }
    write_tokenizer(staging, contents);
    write_file(staging / "README.md", contents.card);
    if (contents.text != nullptr) {
      make_directories(staging / "encoder");
      write_encoder(staging / "encoder", *contents.text, contents.layout, contents.parameters, contents.vocabulary);
      write_tokenizer(staging / "encoder", contents);
    }
    commit_staging(staging, directory);
  } catch (...) {
    remove_quietly(staging);
    throw;
  }
}

}  // namespace tributary
