#include "train/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "unknown" : text;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

RunLock::RunLock(const std::filesystem::path& run_dir, const std::string& job) {
  const std::filesystem::path path = run_dir / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(ErrorKind::cannot_create, "{}: cannot create: {}", path.string(), std::strerror(errno));
  try {
    held_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
    if (!held_ && errno == EWOULDBLOCK)
      fail(ErrorKind::launch, "{} is in use by another job ({}); wait for it or end it, or give another run.dir (--set run.dir=...)", run_dir.string(),
           trimmed(read_file(path)));
    const std::string holder = fmt::format("host {}, process {}, job {}\n", host_name(), ::getpid(), job.empty() ? "none" : job);
    const auto size = static_cast<ssize_t>(holder.size());
    if (held_ && (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, holder.data(), holder.size(), 0) != size))
      fail(ErrorKind::io, "{}: write failed: {}; free some space or choose another run.dir", path.string(), std::strerror(errno));
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RunLock::~RunLock() { ::close(descriptor_); }

}  // namespace tributary
