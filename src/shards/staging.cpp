#include "shards/staging.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

constexpr const char* builder_file = "builder";  // holds the host's name: a pid says nothing about another host

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::filesystem::path without_slash(const std::filesystem::path& path) { return path.has_filename() ? path : path.parent_path(); }

bool is_dead_builder(const std::filesystem::path& staging, const std::string& pid_text) {
  if (pid_text.empty() || pid_text.size() > 9 || !std::all_of(pid_text.begin(), pid_text.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
    return false;
  try {
    if (read_file(staging / builder_file) != host_name()) return false;
  } catch (const Error&) {
    return false;
  }
  return ::kill(static_cast<pid_t>(std::stol(pid_text)), 0) != 0 && errno == ESRCH;
}

}  // namespace

void refuse_existing(const std::filesystem::path& final) {
  std::error_code code;
  if (!std::filesystem::exists(final, code)) return;
  if (!std::filesystem::is_directory(final, code) || !std::filesystem::is_empty(final, code))
    fail(ErrorKind::cannot_create, "{}: exists and is not an empty folder; choose another name or remove it", final.string());
}

std::filesystem::path make_staging(const std::filesystem::path& final) {
  const std::filesystem::path target = without_slash(final);
  const std::filesystem::path parent = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  make_directories(parent);
  const std::string prefix = target.filename().string() + ".building-";
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(parent, code)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && is_dead_builder(entry.path(), name.substr(prefix.size()))) remove_quietly(entry.path());
  }
  const std::filesystem::path staging = parent / (prefix + std::to_string(::getpid()));
  remove_quietly(staging);
  if (!std::filesystem::create_directory(staging, code)) fail(ErrorKind::cannot_create, "{}: cannot create the folder: {}", staging.string(), code.message());
  write_file(staging / builder_file, host_name());
  return staging;
}

void commit_staging(const std::filesystem::path& staging, const std::filesystem::path& final) {
  const std::filesystem::path target = without_slash(final);
  refuse_existing(target);
  std::filesystem::remove(staging / builder_file);
  commit_rename(staging, target);
}

void remove_quietly(const std::filesystem::path& directory) noexcept {
  std::error_code code;
  std::filesystem::remove_all(directory, code);
}

}  // namespace tributary
