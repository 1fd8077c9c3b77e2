#include "base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace tributary {
namespace {

void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorKind::io, "{}: write failed: {}; free some space or choose another folder", path.string(), std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(descriptor) != 0) fail(ErrorKind::io, "{}: fsync failed: {}", path.string(), std::strerror(errno));
}

}  // namespace

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(ErrorKind::cannot_create, "{}: cannot create: {}", temporary.string(), std::strerror(errno));
  try {
    write_all(descriptor, bytes, temporary);
  } catch (...) {
    ::close(descriptor);
    ::unlink(temporary.c_str());
    throw;
  }
  if (::close(descriptor) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    fail(ErrorKind::io, "{}: close failed: {}", temporary.string(), std::strerror(code));
  }
  commit_rename(temporary, path);
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) fail(ErrorKind::missing, "{}: no such file", path.string());
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  if (!stream || !(bytes << stream.rdbuf())) {
    if (stream && std::filesystem::file_size(path, code) == 0) return {};
    fail(ErrorKind::io, "{}: cannot read: {}", path.string(), std::strerror(errno));
  }
  return std::move(bytes).str();
}

void make_directories(const std::filesystem::path& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code || !std::filesystem::is_directory(path)) {
    fail(ErrorKind::cannot_create, "{}: cannot create the folder: {}", path.string(), code ? code.message() : "a file is in the way");
  }
}

void sync_path(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::io, "{}: cannot open for fsync: {}", path.string(), std::strerror(errno));
  const int result = ::fsync(descriptor);
  const int code = errno;
  ::close(descriptor);
  if (result != 0) fail(ErrorKind::io, "{}: fsync failed: {}", path.string(), std::strerror(code));
}

void commit_rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  sync_path(from);
  if (std::rename(from.c_str(), to.c_str()) != 0) fail(ErrorKind::io, "{}: cannot rename to {}: {}", from.string(), to.string(), std::strerror(errno));
  const auto parent = to.parent_path();
  sync_path(parent.empty() ? std::filesystem::path(".") : parent);
}

}  // namespace tributary
