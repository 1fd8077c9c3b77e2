// Float tensors in the safetensors format: 8 bytes header length, JSON header, bytes. Source: https://github.com/huggingface/safetensors (format).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tributary {

struct TensorView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* data = nullptr;
};

// Tensors in the given order, the header padded to 8 bytes; fsynced. Throws: Error{cannot_create, io}.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata);

struct LoadedTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// Strict: every byte of the file belongs to exactly one tensor, all are F32. Throws: Error{missing, io}, Error{data} naming the tensor.
[[nodiscard]] std::map<std::string, LoadedTensor> read_safetensors(const std::filesystem::path& path);

}  // namespace tributary
