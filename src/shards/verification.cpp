#include "shards/verification.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "shards/column_slab.h"
#include "shards/part_file.h"

namespace tributary {
namespace {

struct ::stat status_of(const std::filesystem::path& path) {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0)
    fail(errno == ENOENT ? ErrorKind::missing : ErrorKind::io, "{}: {}; the catalogue names it: is the copy complete?", path.string(), std::strerror(errno));
  return status;
}

std::string stamp_text(const struct ::stat& status, const PartInfo& part) {
  return fmt::format("{} {} {}.{:09} {}\n", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, part.file_digest);
}

std::vector<std::filesystem::path> stamp_places(const std::filesystem::path& file, const std::filesystem::path& stamp_directory) {
  std::vector<std::filesystem::path> places{file.string() + ".verified"};
  std::error_code code;
  const std::filesystem::path absolute = std::filesystem::absolute(file, code);
  if (!stamp_directory.empty()) places.push_back(stamp_directory / (sha256_hex(absolute.string()).substr(0, 32) + ".verified"));
  return places;
}

bool has_stamp(const std::vector<std::filesystem::path>& places, const std::string& text) {
  for (const auto& place : places) {
    try {
      if (read_file(place) == text) return true;
    } catch (const Error&) {  // no stamp here
    }
  }
  return false;
}

// Under a name of this process first: several ranks may stamp at once. A stamp that cannot be written only costs time later.
void leave_stamp(const std::vector<std::filesystem::path>& places, const std::string& text) {
  for (const auto& place : places) {
    const std::filesystem::path own = place.string() + "." + std::to_string(::getpid());
    try {
      write_file(own, text);
      commit_rename(own, place);
      return;
    } catch (const Error&) {
      std::error_code code;
      std::filesystem::remove(own, code);
    }
  }
}

void verify_bytes(const std::filesystem::path& path, const PartInfo& part) {
  const FileDigest digest = digest_file(path);
  if (digest.size_bytes != part.size_bytes)
    fail(ErrorKind::data, "{}: has {} bytes, the catalogue says {}; truncated or replaced: copy it again", path.string(), digest.size_bytes, part.size_bytes);
  for (std::size_t b = 0; b < digest.blocks.size(); ++b)
    if (b >= part.block_digests.size() || hex(digest.blocks[b]) != part.block_digests[b])
      fail(ErrorKind::data, "{}: block {} (bytes {} to {}) does not have the digest of the catalogue: damaged; copy it again", path.string(), b,
           b * FileDigest::block_bytes, std::min<std::uint64_t>((b + 1) * FileDigest::block_bytes, digest.size_bytes));
  if (hex(digest.root()) != part.file_digest) fail(ErrorKind::data, "{}: the catalogue's digests of it contradict each other", path.string());
}

// Throws the first fault of a part.
void check_part(const std::filesystem::path& directory, const Catalogue& catalogue, std::size_t number) {
  const PartInfo& info = catalogue.parts[number];
  verify_part(directory, info, Verify::always);
  const PartFile part(directory / info.file, catalogue, static_cast<int>(number));
  const std::vector<std::string> found = content_digests(part, catalogue.chunk_rows);
  for (std::size_t c = 0; c < found.size(); ++c)
    if (found[c] != part.stored_digest(c))
      fail(ErrorKind::data, "{}: {} does not have its content digest", (directory / info.file).string(), part.columns()[c].path);
  if (part_content_digest(part.columns(), found) != info.content_digest)
    fail(ErrorKind::data, "{}: does not have the content digest of the catalogue", (directory / info.file).string());
}

}  // namespace

void verify_part(const std::filesystem::path& directory, const PartInfo& part, Verify verify, const std::filesystem::path& stamp_directory) {
  const std::filesystem::path path = directory / part.file;
  const struct ::stat before = status_of(path);
  if (verify == Verify::never) return;
  const auto places = stamp_places(path, stamp_directory);
  const std::string text = stamp_text(before, part);
  if (verify == Verify::stamp && has_stamp(places, text)) return;
  verify_bytes(path, part);
  if (verify == Verify::stamp && stamp_text(status_of(path), part) == text) leave_stamp(places, text);
}

std::vector<PartFault> verify_data_set(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue) {
  std::string own;  // "<part>\n<what>\0" of each fault that this rank found
  for (std::size_t p = static_cast<std::size_t>(comm.rank()); p < catalogue.parts.size(); p += static_cast<std::size_t>(comm.size())) {
    try {
      check_part(directory, catalogue, p);
    } catch (const Error& error) {
      own += std::to_string(p) + '\n' + error.what() + '\0';
    }
  }
  std::map<std::size_t, std::string> told;
  for (const std::string& message : comm.all_gather(own))
    for (std::size_t begin = 0; begin < message.size(); begin = message.find('\0', begin) + 1) {
      const std::size_t line = message.find('\n', begin);
      told[std::stoul(message.substr(begin, line - begin))] = message.substr(line + 1, message.find('\0', line) - line - 1);
    }
  std::vector<PartFault> faults;
  for (const auto& [part, what] : told) faults.push_back({catalogue.parts[part].file, what});
  std::vector<std::string> digests;
  for (const PartInfo& part : catalogue.parts) digests.push_back(part.content_digest);
  if (data_set_content_digest(digests) != catalogue.content_digest)
    faults.push_back({"catalogue.json", "catalogue.json: its content digest does not follow from those of its parts"});
  return faults;
}

}  // namespace tributary
