// A text file, plain or gzip, as a stream of bytes or of lines.
#pragma once

#include <zlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace tributary {

// Throws: Error{missing} when the file cannot be opened; read(): Error{io}, Error{data} for a broken or cut gzip stream.
class GzipFile {
 public:
  explicit GzipFile(const std::filesystem::path& path);
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;
  [[nodiscard]] std::string_view read();  // the next bytes, valid until the next call; empty at the end

 private:
  std::string path_;
  gzFile file_;
  std::array<char, 1U << 16U> buffer_;
};

[[nodiscard]] std::string read_text(const std::filesystem::path& path);  // all of it

// Each line without its end ("\n" or "\r\n"), with its number from 1. Memory: the longest line. Throws: as GzipFile.
void read_lines(const std::filesystem::path& path, const std::function<void(std::int64_t number, std::string_view line)>& visit);

}  // namespace tributary
