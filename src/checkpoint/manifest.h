// manifest.json: written last, so a directory without it is not a checkpoint. Layout: checkpoints/FORMAT.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tensor_file.h"

namespace tributary {

inline constexpr int checkpoint_format_version = 1;
inline constexpr const char* tensors_file = "tensors.h5";
inline constexpr const char* state_file = "state.bin";
inline constexpr const char* config_file = "config.toml";
inline constexpr const char* manifest_file = "manifest.json";

struct TensorRecord {
  NamedShape tensor;
  std::string digest;  // hex SHA-256 over canonical bytes
};

struct FileRecord {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::string digest;  // hex SHA-256; empty for tensors.h5, whose tensors have digests of their own
};

struct Manifest {
  std::int64_t step = 0;
  std::string program;                // version that wrote it
  std::vector<TensorRecord> tensors;  // sorted by name
  std::vector<FileRecord> files;
  std::string extra_json = "{}";                     // an object: metrics and whatever the writer adds
  [[nodiscard]] std::string content_digest() const;  // over "name digest\n" of every tensor: equal for any grid
  [[nodiscard]] const TensorRecord* find(const std::string& name) const;
};

[[nodiscard]] std::string to_json(const Manifest& manifest);

// Reads and checks <directory>/manifest.json, then size and digest of every file but the tensors' digests.
// Throws: Error{missing} without manifest, Error{data} naming the file: another version (says both), edited, truncated, damaged.
[[nodiscard]] Manifest load_manifest(const std::filesystem::path& directory);

[[nodiscard]] FileRecord record_file(const std::filesystem::path& directory, const std::string& name, bool with_digest);

}  // namespace tributary
