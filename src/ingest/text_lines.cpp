#include "ingest/text_lines.h"

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace tributary {

GzipFile::GzipFile(const std::filesystem::path& path) : path_(path.string()), file_(gzopen(path_.c_str(), "rb")) {
  if (file_ == nullptr) fail(ErrorKind::missing, "{}: cannot open: {}", path_, std::strerror(errno));
  gzbuffer(file_, 1U << 17U);
}

GzipFile::~GzipFile() { gzclose(file_); }

std::string_view GzipFile::read() {
  const int count = gzread(file_, buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int code = Z_OK;
  const char* message = gzerror(file_, &code);
  if (code == Z_ERRNO) fail(ErrorKind::io, "{}: cannot read: {}", path_, std::strerror(errno));
  if (count < 0 || code == Z_BUF_ERROR) fail(ErrorKind::data, "{}: the gzip stream is broken or cut off ({}); fetch the file again", path_, message);
  return {buffer_.data(), static_cast<std::size_t>(count)};
}

std::string read_text(const std::filesystem::path& path) {
  GzipFile file(path);
  std::string text;
  for (std::string_view chunk = file.read(); !chunk.empty(); chunk = file.read()) text += chunk;
  return text;
}

void read_lines(const std::filesystem::path& path, const std::function<void(std::int64_t number, std::string_view line)>& visit) {
  GzipFile file(path);
  std::string line;
  std::int64_t number = 0;
  const auto give = [&] {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    visit(++number, line);
    line.clear();
  };
  for (std::string_view chunk = file.read(); !chunk.empty(); chunk = file.read()) {
    for (std::size_t end = chunk.find('\n'); end != std::string_view::npos; end = chunk.find('\n')) {
      line += chunk.substr(0, end);
      chunk.remove_prefix(end + 1);
      give();
    }
    line += chunk;
  }
  if (!line.empty()) give();
}

}  // namespace tributary
