#include "checkpoint/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/manifest.h"
#include "comm/agree.h"

namespace tributary {
namespace {

constexpr std::string_view temporary_prefix = ".tmp-";
constexpr std::string_view aside_prefix = "old-";  // after temporary_prefix: to be put back when its name is free
constexpr std::string_view doomed_prefix = "gone-";
constexpr std::string_view step_prefix = "step-";

bool is_step_name(const std::string& name) {
  return name.starts_with(step_prefix) && name.size() > step_prefix.size() &&
         std::all_of(name.begin() + step_prefix.size(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// False where the file system cannot exchange two names.
bool exchange(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) return false;
  fail(ErrorKind::io, "{}: cannot exchange names with {}: {}", a.string(), b.string(), std::strerror(errno));
}

// "best" of ".tmp-old-best-123"; empty for other names.
std::string name_before(const std::string& temporary) {
  const std::string prefix = fmt::format("{}{}", temporary_prefix, aside_prefix);
  const std::size_t end = temporary.rfind('-');
  return temporary.starts_with(prefix) && end > prefix.size() ? temporary.substr(prefix.size(), end - prefix.size()) : std::string();
}

void put_back(const std::filesystem::path& aside) {
  const std::string name = name_before(aside.filename().string());
  std::error_code code;
  if (name.empty() || std::filesystem::exists(aside.parent_path() / name, code)) return;
  try {
    static_cast<void>(load_manifest(aside));
  } catch (const Error&) {
    return;  // half removed
  }
  commit_rename(aside, aside.parent_path() / name);
}

std::string to_text(const RunListing& listing) {
  nlohmann::json text;
  text["found"] = nlohmann::json::array();
  text["skipped"] = nlohmann::json::array();
  for (const auto& entry : listing.checkpoints) text["found"].push_back({entry.path.string(), entry.step});
  for (const auto& entry : listing.skipped) text["skipped"].push_back({entry.path.string(), entry.reason});
  return text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

RunListing from_text(const std::string& bytes) {
  const auto text = nlohmann::json::parse(bytes);
  RunListing listing;
  for (const auto& entry : text.at("found")) listing.checkpoints.push_back({entry.at(0).get<std::string>(), entry.at(1).get<std::int64_t>()});
  for (const auto& entry : text.at("skipped")) listing.skipped.push_back({entry.at(0).get<std::string>(), entry.at(1).get<std::string>()});
  return listing;
}

}  // namespace

RunListing list_run(const std::filesystem::path& run_dir) {
  RunListing listing;
  std::error_code code;
  if (!std::filesystem::exists(run_dir, code)) return listing;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, code)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(code) && (is_step_name(name) || name == "best")) folders.push_back(entry.path());
  }
  if (code) fail(ErrorKind::io, "{}: cannot be listed: {}", run_dir.string(), code.message());
  for (const auto& folder : folders) {
    try {
      listing.checkpoints.push_back({folder, load_manifest(folder).step});
    } catch (const Error& error) {
      listing.skipped.push_back({folder, error.what()});
    }
  }
  const auto newer = [](const RunListing::Entry& a, const RunListing::Entry& b) {
    const bool a_step = is_step_name(a.path.filename().string()), b_step = is_step_name(b.path.filename().string());
    return a.step != b.step ? a.step > b.step : a_step != b_step ? a_step : a.path < b.path;
  };
  std::sort(listing.checkpoints.begin(), listing.checkpoints.end(), newer);
  std::sort(listing.skipped.begin(), listing.skipped.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return listing;
}

RunListing list_run(const Communicator& comm, const std::filesystem::path& run_dir) {
  const std::string own = agreed(comm, [&] { return comm.rank() == 0 ? to_text(list_run(run_dir)) : std::string(); });
  return from_text(comm.broadcast(own, 0));
}

std::filesystem::path resolve_checkpoint(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::exists(path / manifest_file, code)) return path;
  if (!std::filesystem::is_directory(path, code)) fail(ErrorKind::missing, "{}: no such checkpoint or run directory", path.string());
  const RunListing listing = list_run(path);
  if (!listing.checkpoints.empty()) return listing.checkpoints.front().path;
  std::string reasons;
  for (const auto& entry : listing.skipped) reasons += "\n  skipped: " + entry.reason;
  fail(ErrorKind::missing, "{}: neither a checkpoint nor a run directory with a whole one{}", path.string(), reasons);
}

std::filesystem::path temporary_name(const std::filesystem::path& run_dir, const std::string& name) {
  return run_dir / fmt::format("{}{}-{}", temporary_prefix, name, ::getpid());
}

void remove_temporaries(const std::filesystem::path& run_dir) {
  std::error_code code;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, code)) {
    if (entry.path().filename().string().starts_with(temporary_prefix)) left.push_back(entry.path());
  }
  for (const auto& path : left) {
    put_back(path);
    std::filesystem::remove_all(path, code);
  }
}

void publish(const std::filesystem::path& staging, const std::filesystem::path& target) {
  std::error_code code;
  sync_path(staging);
  if (!std::filesystem::exists(target, code)) {
    commit_rename(staging, target);
    return;
  }
  const auto old = temporary_name(target.parent_path(), std::string(aside_prefix) + target.filename().string());
  if (exchange(staging, target)) {
    sync_path(target.parent_path());
    std::filesystem::remove_all(staging, code);
    return;
  }
  commit_rename(target, old);
  try {
    commit_rename(staging, target);
  } catch (...) {
    put_back(old);
    throw;
  }
  std::filesystem::remove_all(old, code);
}

void remove_checkpoint(const std::filesystem::path& path) {
  const auto doomed = temporary_name(path.parent_path(), std::string(doomed_prefix) + path.filename().string());
  commit_rename(path, doomed);
  std::error_code code;
  std::filesystem::remove_all(doomed, code);
  if (code) fail(ErrorKind::io, "{}: cannot be removed: {}", doomed.string(), code.message());
}

}  // namespace tributary
