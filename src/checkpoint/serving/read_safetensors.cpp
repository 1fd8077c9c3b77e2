#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/safetensors.h"

namespace tributary {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t length_bytes = 8, longest_header = 100'000'000;
constexpr std::uint64_t too_many = std::numeric_limits<std::int64_t>::max();
constexpr int deepest = 3;  // file, tensor, list

const std::map<std::string, std::uint64_t> bytes_of_type{{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                                                         {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                                                         {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};

// JSON in which no object names a key twice, which the parser alone would not notice.
Json parse_strictly(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest) fail(ErrorKind::data, "{}: the header nests deeper than a tensor's entry does", where);
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second)
      fail(ErrorKind::data, "{}: the header names '{}' twice", where, value.get<std::string>());
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: damaged header: {}", where, error.what());
  }
}

// A list of whole numbers from 0 on.
std::vector<std::uint64_t> numbers_of(const Json& entry, const char* key, const std::string& name, const std::string& where) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) fail(ErrorKind::data, "{}: tensor '{}': expected a list '{}'", where, name, key);
  std::vector<std::uint64_t> numbers;
  for (const Json& number : *found) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > too_many)
      fail(ErrorKind::data, "{}: tensor '{}': '{}' holds something else than whole numbers from 0 on", where, name, key);
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

StoredTensor stored_tensor(const Json& entry, const std::string& name, std::uint64_t data_begin, std::uint64_t file_bytes, const std::string& where) {
  if (!entry.is_object()) fail(ErrorKind::data, "{}: tensor '{}': expected an object with dtype, shape and data_offsets", where, name);
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets") fail(ErrorKind::data, "{}: tensor '{}' has an unknown key '{}'", where, name, key);
  const auto type = entry.find("dtype");
  const auto size = type != entry.end() && type->is_string() ? bytes_of_type.find(type->get<std::string>()) : bytes_of_type.end();
  if (size == bytes_of_type.end())
    fail(ErrorKind::data, "{}: tensor '{}' is of the unknown type {}", where, name, type == entry.end() ? std::string("(none)") : type->dump());
  StoredTensor tensor;
  tensor.type = size->first;
  std::uint64_t needed = size->second;
  for (const std::uint64_t extent : numbers_of(entry, "shape", name, where)) {
    if (extent > 0 && needed > too_many / extent) fail(ErrorKind::data, "{}: tensor '{}': its shape is too large for any file", where, name);
    needed *= extent;
    tensor.shape.push_back(static_cast<std::int64_t>(extent));
  }
  const std::vector<std::uint64_t> range = numbers_of(entry, "data_offsets", name, where);
  const std::uint64_t room = file_bytes - data_begin;
  if (range.size() != 2 || range[0] > range[1] || range[1] > room || range[1] - range[0] != needed) {
    fail(ErrorKind::data, "{}: tensor '{}' of type {} needs {} bytes, its data_offsets are {} of {}: truncated or damaged", where, name, tensor.type, needed,
         entry["data_offsets"].dump(), room);
  }
  tensor.first = data_begin + range[0];
  tensor.last = data_begin + range[1];
  return tensor;
}

// Every byte of the data belongs to one tensor.
void require_cover(const std::map<std::string, StoredTensor>& tensors, std::uint64_t begin, std::uint64_t end, const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [name, tensor] : tensors) ranges.emplace_back(tensor.first, tensor.last);
  std::sort(ranges.begin(), ranges.end());
  for (const auto& [first, last] : ranges) {
    if (first != begin)
      fail(ErrorKind::data, "{}: bytes {} to {} belong to {}", where, std::min(first, begin), std::max(first, begin),
           first > begin ? "no tensor" : "two tensors");
    begin = last;
  }
  if (begin != end) fail(ErrorKind::data, "{}: {} bytes after the last tensor: truncated or damaged", where, end - begin);
}

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path) : path_(path), number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (number_ < 0) fail(errno == ENOENT ? ErrorKind::missing : ErrorKind::io, "{}: cannot open: {}", path.string(), std::strerror(errno));
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void read(std::uint64_t offset, void* out, std::uint64_t size) const {
    auto* to = static_cast<char*>(out);
    while (size > 0) {
      const ::ssize_t got = ::pread(number_, to, size, static_cast<::off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail(ErrorKind::io, "{}: cannot read {} bytes at {}: {}", path_.string(), size, offset, got < 0 ? std::strerror(errno) : "the file ends");
      to += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::uint64_t>(got);
    }
  }

 private:
  const std::filesystem::path& path_;
  int number_;
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < length_bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

std::uint64_t header_end(std::string_view head, std::uint64_t file_bytes, const std::string& where) {
  if (file_bytes < length_bytes || head.size() < length_bytes) fail(ErrorKind::data, "{}: {} bytes; not safetensors", where, file_bytes);
  const std::uint64_t length = little_endian(head);
  if (length > longest_header || length > file_bytes - length_bytes)
    fail(ErrorKind::data, "{}: a header of {} bytes in a file of {}: truncated, damaged or not safetensors", where, length, file_bytes);
  return length_bytes + length;
}

// IEEE half precision: exact in float.
float from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16, exponent = (half >> 10) & 0x1FU, fraction = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * 0x1p-24F;
  return sign != 0 ? -small : small;
}

}  // namespace

std::int64_t StoredTensor::count() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

std::map<std::string, StoredTensor> parse_safetensors(std::string_view head, std::uint64_t file_bytes, const std::string& where) {
  const std::uint64_t data_begin = header_end(head, file_bytes, where);
  if (head.size() < data_begin) fail(ErrorKind::data, "{}: the header ends after {} of {} bytes", where, head.size(), data_begin);
  const Json header = parse_strictly(head.substr(length_bytes, data_begin - length_bytes), where);
  if (!header.is_object()) fail(ErrorKind::data, "{}: the header is not a JSON object", where);
  std::map<std::string, StoredTensor> tensors;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") tensors.emplace(name, stored_tensor(entry, name, data_begin, file_bytes, where));
  require_cover(tensors, data_begin, file_bytes, where);
  return tensors;
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code code;
  const std::uint64_t size = std::filesystem::file_size(path_, code);
  if (code) fail(ErrorKind::missing, "{}: no such file", path_.string());
  const Descriptor file(path_);
  std::string head(std::min(size, length_bytes), '\0');
  file.read(0, head.data(), head.size());
  head.resize(header_end(head, size, path_.string()));
  file.read(0, head.data(), head.size());
  tensors_ = parse_safetensors(head, size, path_.string());
}

void SafetensorsFile::read(const std::string& name, std::span<float> out) const {
  const StoredTensor& tensor = tensors_.at(name);
  check(static_cast<std::int64_t>(out.size()) == tensor.count(), "SafetensorsFile::read: room for {} of {} elements", out.size(), tensor.count());
  const Descriptor file(path_);
  if (tensor.type == "F32") {
    file.read(tensor.first, out.data(), tensor.last - tensor.first);
    return;
  }
  if (tensor.type != "F16" && tensor.type != "BF16")
    fail(ErrorKind::data, "{}: tensor '{}' is of type {}; weights must be F32, F16 or BF16", path_.string(), name, tensor.type);
  std::vector<std::uint16_t> narrow(out.size());
  file.read(tensor.first, narrow.data(), tensor.last - tensor.first);
  const bool half = tensor.type == "F16";
  for (std::size_t i = 0; i < narrow.size(); ++i) out[i] = half ? from_half(narrow[i]) : std::bit_cast<float>(static_cast<std::uint32_t>(narrow[i]) << 16);
}

SafetensorsFolder::SafetensorsFolder(const std::filesystem::path& directory) {
  const auto single = directory / "model.safetensors", index = directory / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) {
    files_.emplace_back(single);
    for (const auto& [name, tensor] : files_[0].tensors()) file_of_.emplace(name, 0);
  } else if (std::filesystem::exists(index)) {
    add_files_of_index(directory, index);
  } else if (std::filesystem::exists(directory / "pytorch_model.bin") || std::filesystem::exists(directory / "pytorch_model.bin.index.json")) {
    fail(ErrorKind::missing,
         "{0}: weights only as a pickle (pytorch_model.bin), which is never read because it can run code; convert it once with Python:\n"
         "  from transformers import AutoModel; AutoModel.from_pretrained(\"{0}\").save_pretrained(\"{0}\", safe_serialization=True)",
         directory.string());
  } else {
    fail(ErrorKind::missing, "{}: neither model.safetensors nor model.safetensors.index.json", directory.string());
  }
}

void SafetensorsFolder::add_files_of_index(const std::filesystem::path& directory, const std::filesystem::path& index) {
  const Json document = parse_strictly(read_file(index), index.string());
  const auto map = document.is_object() ? document.find("weight_map") : document.end();
  if (map == document.end() || !map->is_object()) fail(ErrorKind::data, "{}: expected an object 'weight_map' of tensor names to files", index.string());
  std::map<std::string, std::size_t> numbers;
  for (const auto& [name, value] : map->items()) {
    const std::string file = value.is_string() ? value.get<std::string>() : std::string();
    if (file.empty() || std::filesystem::path(file).filename().string() != file || file == "." || file == "..")
      fail(ErrorKind::data, "{}: tensor '{}': expected the name of a file in the same folder, found {}", index.string(), name, value.dump());
    const auto [place, fresh] = numbers.emplace(file, files_.size());
    if (fresh) files_.emplace_back(directory / file);
    if (!files_[place->second].tensors().contains(name))
      fail(ErrorKind::data, "{}: tensor '{}' does not stand in {}, as the index says", index.string(), name, file);
    file_of_.emplace(name, place->second);
  }
  for (const auto& [file, number] : numbers)
    for (const auto& [name, tensor] : files_[number].tensors()) {
      const auto told = file_of_.find(name);
      if (told == file_of_.end()) fail(ErrorKind::data, "{}: tensor '{}' of {} does not stand in the index", index.string(), name, file);
      if (told->second != number) fail(ErrorKind::data, "{}: tensor '{}' stands in {} too, the index names another file", index.string(), name, file);
    }
}

std::vector<std::string> SafetensorsFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

const StoredTensor* SafetensorsFolder::find(const std::string& name) const {
  const auto place = file_of_.find(name);
  return place == file_of_.end() ? nullptr : &files_[place->second].tensors().at(name);
}

void SafetensorsFolder::read(const std::string& name, std::span<float> out) const { files_[file_of_.at(name)].read(name, out); }

std::map<std::string, LoadedTensor> read_safetensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, LoadedTensor> tensors;
  for (const auto& [name, stored] : file.tensors()) {
    LoadedTensor& tensor = tensors[name];
    tensor.shape = stored.shape;
    tensor.values.resize(static_cast<std::size_t>(stored.count()));
    file.read(name, tensor.values);
  }
  return tensors;
}

}  // namespace tributary
