// Tensors in the safetensors format: 8 bytes header length, JSON header, bytes. Source: https://github.com/huggingface/safetensors (format).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct TensorView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* data = nullptr;
};

// Tensors in the given order, the header padded to 8 bytes; fsynced. Throws: Error{cannot_create, io}.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata);

// Where a tensor stands in its file.
struct StoredTensor {
  std::string type;  // "F32", "F16", "BF16", "I64", ...
  std::vector<std::int64_t> shape;
  std::uint64_t first = 0, last = 0;  // bytes of the file
  [[nodiscard]] std::int64_t count() const;
};

// `head`: the first bytes of a file of `file_bytes`, at least its header. Strict: the header fits into the file, names no key twice and nothing unknown, and
// every byte after it belongs to exactly one tensor whose type and shape need just that many. Throws: Error{data} naming the tensor.
[[nodiscard]] std::map<std::string, StoredTensor> parse_safetensors(std::string_view head, std::uint64_t file_bytes, const std::string& where);

// A file whose header has been read; tensors are read when they are asked for.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);  // Throws: Error{missing, io, data}
  [[nodiscard]] const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  // All elements as float32; F16 and BF16 are widened, which loses nothing. Throws: Error{data} for another type, Error{io}.
  void read(const std::string& name, std::span<float> out) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, StoredTensor> tensors_;
};

// The files of a weights folder as one: `model.safetensors`, or the files that `model.safetensors.index.json` names.
class SafetensorsFolder {
 public:
  // Throws: Error{missing} (with the way to convert where only pickled weights stand); Error{data} for an index that does not fit its files.
  explicit SafetensorsFolder(const std::filesystem::path& directory);
  [[nodiscard]] std::vector<std::string> names() const;                   // ascending
  [[nodiscard]] const StoredTensor* find(const std::string& name) const;  // null: no such tensor
  void read(const std::string& name, std::span<float> out) const;

 private:
  void add_files_of_index(const std::filesystem::path& directory, const std::filesystem::path& index);
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t> file_of_;  // name -> number of its file
};

struct LoadedTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// A whole file. Throws: Error{missing, io}, Error{data} naming the tensor.
[[nodiscard]] std::map<std::string, LoadedTensor> read_safetensors(const std::filesystem::path& path);

}  // namespace tributary
