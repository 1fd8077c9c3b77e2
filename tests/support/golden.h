// Safetensors files of tests: 8 bytes of header length, a JSON header, raw little-endian values. Those of tests/golden are read, results are written.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace tributary::testing_support {

// Throws: std::runtime_error when the file is missing or broken.
inline std::map<std::string, at::Tensor> read_tensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::uint64_t header_bytes = 0;
  if (bytes.size() > sizeof header_bytes) std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const std::uint64_t start = sizeof header_bytes + header_bytes;
  if (header_bytes == 0 || start > bytes.size()) throw std::runtime_error(path + ": missing or not a safetensors file");
  const std::map<std::string, at::ScalarType> types{{"F64", at::kDouble}, {"F32", at::kFloat}, {"I64", at::kLong}, {"BOOL", at::kBool}};
  std::map<std::string, at::Tensor> tensors;
  const nlohmann::json header = nlohmann::json::parse(bytes.data() + sizeof header_bytes, bytes.data() + start);
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") continue;
    const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
    const auto begin = start + entry.at("data_offsets").at(0).get<std::uint64_t>(), end = start + entry.at("data_offsets").at(1).get<std::uint64_t>();
    at::Tensor tensor = at::empty(shape, at::TensorOptions(types.at(entry.at("dtype").get<std::string>())));
    if (end > bytes.size() || end - begin != tensor.nbytes()) throw std::runtime_error(path + ": " + key + " does not fit");
    if (tensor.nbytes() > 0) std::memcpy(tensor.data_ptr(), bytes.data() + begin, tensor.nbytes());
    tensors[key] = tensor;
  }
  return tensors;
}

// All tensors as F64. Throws: std::runtime_error when the file cannot be written.
inline void write_doubles(const std::string& path, const std::map<std::string, at::Tensor>& tensors) {
  nlohmann::ordered_json header;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t end = offset + 8 * static_cast<std::uint64_t>(tensor.numel());
    header[name] = {{"dtype", "F64"}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const std::uint64_t length = text.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(at::kDouble).contiguous();
    file.write(static_cast<const char*>(values.data_ptr()), static_cast<std::streamsize>(values.nbytes()));
  }
  if (!file.good()) throw std::runtime_error(path + ": not written");
}

inline std::map<std::string, at::Tensor> read_golden(const std::string& name) {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  return read_tensors((source == nullptr ? std::string(".") : std::string(source)) + "/tests/golden/" + name);
}

}  // namespace tributary::testing_support
