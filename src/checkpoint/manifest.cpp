#include "checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

using Json = nlohmann::json;  // keys sorted: one text for one content

constexpr const char* format_name = "tributary-checkpoint";

constexpr std::string_view digest_key = "\"digest\": \"";  // first in the text: of the document itself (keys are sorted, `extra` comes later)
constexpr std::size_t digest_length = 64;

// The text with the document's own digest as zeros: what that digest is over. Nothing when the text has no such place.
std::optional<std::string> zeroed(std::string text) {
  const std::size_t place = text.find(digest_key);
  if (place == std::string::npos || place + digest_key.size() + digest_length > text.size()) return std::nullopt;
  text.replace(place + digest_key.size(), digest_length, digest_length, '0');
  return text;
}

Manifest manifest_from(const Json& document) {
  Manifest manifest;
  manifest.step = document.at("step").get<std::int64_t>();
  manifest.program = document.at("program").get<std::string>();
  manifest.extra_json = document.at("extra").dump();
  for (const auto& [name, entry] : document.at("tensors").items()) {
    manifest.tensors.push_back({{name, entry.at("shape").get<std::vector<std::int64_t>>()}, entry.at("sha256").get<std::string>()});
  }
  for (const auto& [name, entry] : document.at("files").items()) {
    manifest.files.push_back({name, entry.at("size").get<std::uint64_t>(), entry.value("sha256", "")});
  }
  return manifest;
}

void check_file(const std::filesystem::path& directory, const FileRecord& expected) {
  const std::string where = (directory / expected.name).string();
  const FileRecord found = record_file(directory, expected.name, !expected.digest.empty());
  if (found.size_bytes != expected.size_bytes) {
    fail(ErrorKind::data, "{}: {} bytes, the manifest says {} (truncated or changed); use another checkpoint", where, found.size_bytes, expected.size_bytes);
  }
  if (found.digest != expected.digest) fail(ErrorKind::data, "{}: damaged or changed: its SHA-256 is not the manifest's; use another checkpoint", where);
}

}  // namespace

std::string Manifest::content_digest() const {
  Sha256 sha;
  for (const TensorRecord& record : tensors) sha.update(record.tensor.name + " " + record.digest + "\n");
  return hex(sha.finish());
}

const TensorRecord* Manifest::find(const std::string& name) const {
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name, [](const TensorRecord& record, const std::string& key) { return record.tensor.name < key; });
  return found != tensors.end() && found->tensor.name == name ? &*found : nullptr;
}

std::string to_json(const Manifest& manifest) {
  Json document;
  document["format"] = format_name;
  document["version"] = checkpoint_format_version;
  document["step"] = manifest.step;
  document["program"] = manifest.program;
  document["content_digest"] = manifest.content_digest();
  document["extra"] = Json::parse(manifest.extra_json);
  document["tensors"] = Json::object();
  for (const TensorRecord& record : manifest.tensors) {
    document["tensors"][record.tensor.name] = {{"shape", record.tensor.shape}, {"dtype", "float32"}, {"sha256", record.digest}};
  }
  document["files"] = Json::object();
  for (const FileRecord& file : manifest.files) {
    document["files"][file.name]["size"] = file.size_bytes;
    if (!file.digest.empty()) document["files"][file.name]["sha256"] = file.digest;
  }
  document["digest"] = std::string(digest_length, '0');
  std::string text = document.dump(1) + "\n";
  text.replace(text.find(digest_key) + digest_key.size(), digest_length, sha256_hex(text));
  return text;
}

FileRecord record_file(const std::filesystem::path& directory, const std::string& name, bool with_digest) {
  std::error_code code;
  const auto size = std::filesystem::file_size(directory / name, code);
  if (code) fail(ErrorKind::data, "{}: missing or unreadable: {}", (directory / name).string(), code.message());
  return {name, size, with_digest ? sha256_hex(read_file(directory / name)) : ""};
}

Manifest load_manifest(const std::filesystem::path& directory) {
  const std::string where = (directory / manifest_file).string();
  std::error_code code;
  if (!std::filesystem::is_directory(directory, code)) fail(ErrorKind::missing, "{}: no such checkpoint", directory.string());
  if (!std::filesystem::exists(directory / manifest_file, code))
    fail(ErrorKind::missing, "{}: no manifest.json: not a checkpoint, or not finished", directory.string());
  Manifest manifest;
  try {
    const std::string text = read_file(directory / manifest_file);
    const Json document = Json::parse(text);
    if (document.at("format") != format_name) fail(ErrorKind::data, "{}: not the manifest of a checkpoint", where);
    if (const int version = document.at("version").get<int>(); version != checkpoint_format_version) {
      fail(ErrorKind::data, "{}: format version {}, this program reads version {}", where, version, checkpoint_format_version);
    }
    const auto own = zeroed(text);
    if (!own || document.at("digest") != sha256_hex(*own)) fail(ErrorKind::data, "{}: damaged or edited: its digest does not fit", where);
    manifest = manifest_from(document);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: damaged: {}", where, error.what());
  }
  for (const FileRecord& file : manifest.files) check_file(directory, file);
  return manifest;
}

}  // namespace tributary
