// One file of the note cache: hidden states of consecutive rows. Layout, little-endian: "TRIBNOTE", u32 version, u32 width d, i64 first row, i64 rows n,
// i64 offsets [n + 1] in tokens (of marked pairs: in pairs), zeros up to a multiple of 64 bytes, float32 [tokens, d], SHA-256 of all before it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tributary {

struct NoteSegment {
  std::int64_t width = 0, first_row = 0;
  std::vector<std::int64_t> offsets;  // [rows + 1] tokens before each row
  std::vector<float> values;          // [tokens, width]
};

// Written under another name first. Throws: Error{cannot_create, io}.
void write_segment(const std::filesystem::path& path, const NoteSegment& segment);

// Whether the file's digest fits its content.
[[nodiscard]] bool segment_is_whole(const std::filesystem::path& path);

// A segment in memory as long as this lives. Does not check the digest.
class MappedSegment {
 public:
  explicit MappedSegment(const std::filesystem::path& path);  // Throws: Error{missing, io, data}
  ~MappedSegment();
  MappedSegment(const MappedSegment&) = delete;
  MappedSegment& operator=(const MappedSegment&) = delete;

  [[nodiscard]] std::int64_t rows() const;
  [[nodiscard]] std::int64_t tokens(std::int64_t row) const { return offsets_[row + 1] - offsets_[row]; }
  [[nodiscard]] const float* values(std::int64_t row) const { return values_ + offsets_[row] * width_; }
  [[nodiscard]] bool digest_fits() const;

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t width_ = 0, rows_ = 0;
  const std::int64_t* offsets_ = nullptr;
  const float* values_ = nullptr;
};

}  // namespace tributary
