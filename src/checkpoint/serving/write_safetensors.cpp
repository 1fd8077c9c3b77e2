#include "checkpoint/serving/safetensors.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::uint64_t bytes_of(const std::vector<std::int64_t>& shape) {
  return sizeof(float) * static_cast<std::uint64_t>(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

std::string head_of(const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata) {
  OrderedJson header = OrderedJson::object();
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

}  // namespace tributary
