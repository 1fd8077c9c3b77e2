#include "checkpoint/serving/safetensors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t bytes_of(const std::vector<std::int64_t>& shape) {
  return sizeof(float) * static_cast<std::uint64_t>(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

std::string head_of(const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const std::uint64_t end = offset + bytes_of(tensor.shape);
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string head;
  for (unsigned i = 0; i < 8; ++i) head += static_cast<char>(static_cast<unsigned char>(static_cast<std::uint64_t>(text.size()) >> (8 * i)));
  return head + text;
}

void take_tensor(const std::string& where, const std::string& name, const Json& entry, std::string_view data, std::map<std::string, LoadedTensor>& tensors,
                 std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges) {
  if (entry.at("dtype") != "F32") fail(ErrorKind::data, "{}: tensor '{}' is of {}, expected F32", where, name, entry.at("dtype").dump());
  LoadedTensor tensor{entry.at("shape").get<std::vector<std::int64_t>>(), {}};
  const auto range = entry.at("data_offsets").get<std::array<std::uint64_t, 2>>();
  if (range[0] > range[1] || range[1] > data.size() || range[1] - range[0] != bytes_of(tensor.shape)) {
    fail(ErrorKind::data, "{}: tensor '{}' has bytes [{}, {}) of {}, its shape needs {}", where, name, range[0], range[1], data.size(), bytes_of(tensor.shape));
  }
  tensor.values.resize((range[1] - range[0]) / sizeof(float));
  if (range[1] > range[0]) std::memcpy(tensor.values.data(), data.data() + range[0], range[1] - range[0]);
  tensors.emplace(name, std::move(tensor));
  ranges.emplace_back(range[0], range[1]);
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"), &std::fclose);
  if (!file) fail(ErrorKind::cannot_create, "{}: cannot create: {}", path.string(), std::strerror(errno));
  const auto write = [&](const void* bytes, std::size_t size) {
    if (size > 0 && std::fwrite(bytes, 1, size, file.get()) != size)
      fail(ErrorKind::io, "{}: write failed: {}; free some space", path.string(), std::strerror(errno));
  };
  const std::string head = head_of(tensors, metadata);
  write(head.data(), head.size());
  for (const TensorView& tensor : tensors) write(tensor.data, bytes_of(tensor.shape));
  if (std::fclose(file.release()) != 0) fail(ErrorKind::io, "{}: close failed: {}; free some space", path.string(), std::strerror(errno));
  sync_path(path);
}

std::map<std::string, LoadedTensor> read_safetensors(const std::filesystem::path& path) {
  const std::string where = path.string(), bytes = read_file(path);
  std::uint64_t length = 0;
  if (bytes.size() < 8) fail(ErrorKind::data, "{}: {} bytes; not safetensors", where, bytes.size());
  for (unsigned i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  if (length > bytes.size() - 8) fail(ErrorKind::data, "{}: a header of {} bytes in a file of {}: truncated or damaged", where, length, bytes.size());
  const std::string_view data = std::string_view(bytes).substr(8 + length);
  std::map<std::string, LoadedTensor> tensors;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  try {
    const Json header = Json::parse(bytes.substr(8, length));
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") take_tensor(where, name, entry, data, tensors, ranges);
    }
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: damaged header: {}", where, error.what());
  }
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t end = 0;
  for (const auto& [first, last] : ranges) {
    if (first != end) fail(ErrorKind::data, "{}: bytes {} to {} belong to no tensor or to two", where, end, first);
    end = last;
  }
  if (end != data.size()) fail(ErrorKind::data, "{}: {} bytes of data, the header describes {}", where, data.size(), end);
  return tensors;
}

}  // namespace tributary
