#include "train/note_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

constexpr std::string_view magic = "TRIBNOTE";
constexpr std::uint32_t segment_version = 1;
constexpr std::size_t head_bytes = 8 + 4 + 4 + 8 + 8, digest_bytes = 32, alignment = 64;

// Where the values begin.
std::size_t values_at(std::size_t rows) { return (head_bytes + (rows + 1) * sizeof(std::int64_t) + alignment - 1) / alignment * alignment; }

template <class Value>
Value value_at(const char* bytes, std::size_t place) {
  Value value;
  std::memcpy(&value, bytes + place, sizeof value);
  return value;
}

}  // namespace

void write_segment(const std::filesystem::path& path, const NoteSegment& segment) {
  const std::size_t rows = segment.offsets.size() - 1, begin = values_at(rows), values_bytes = segment.values.size() * sizeof(float);
  check(static_cast<std::int64_t>(segment.values.size()) == segment.offsets.back() * segment.width, "write_segment: values do not fit the offsets");
  std::string bytes(begin + values_bytes, '\0');
  const auto width = static_cast<std::uint32_t>(segment.width);
  const auto count = static_cast<std::int64_t>(rows);
  std::memcpy(bytes.data(), magic.data(), magic.size());
  std::memcpy(bytes.data() + 8, &segment_version, sizeof segment_version);
  std::memcpy(bytes.data() + 12, &width, sizeof width);
  std::memcpy(bytes.data() + 16, &segment.first_row, sizeof segment.first_row);
  std::memcpy(bytes.data() + 24, &count, sizeof count);
  std::memcpy(bytes.data() + head_bytes, segment.offsets.data(), segment.offsets.size() * sizeof(std::int64_t));
  if (values_bytes > 0) std::memcpy(bytes.data() + begin, segment.values.data(), values_bytes);
  const DigestBytes digest = Sha256().update(bytes).finish();
  bytes.append(digest.begin(), digest.end());
  write_file(path, bytes);
}

bool segment_is_whole(const std::filesystem::path& path) {
  try {
    return MappedSegment(path).digest_fits();
  } catch (const Error&) {
    return false;
  }
}

MappedSegment::MappedSegment(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(errno == ENOENT ? ErrorKind::missing : ErrorKind::io, "{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat facts {};
  void* mapped = MAP_FAILED;
  if (::fstat(file, &facts) == 0 && facts.st_size > 0) mapped = ::mmap(nullptr, static_cast<std::size_t>(facts.st_size), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) fail(ErrorKind::io, "{}: cannot map: {}", path.string(), std::strerror(errno));
  bytes_ = static_cast<const char*>(mapped);
  size_ = static_cast<std::size_t>(facts.st_size);
  const bool known =
      size_ >= head_bytes + digest_bytes && std::string_view(bytes_, magic.size()) == magic && value_at<std::uint32_t>(bytes_, 8) == segment_version;
  width_ = known ? value_at<std::uint32_t>(bytes_, 12) : 0;
  rows_ = known ? value_at<std::int64_t>(bytes_, 24) : -1;
  const bool fits = known && rows_ >= 0 && static_cast<std::size_t>(rows_) < size_ / sizeof(std::int64_t) &&
                    values_at(static_cast<std::size_t>(rows_)) + digest_bytes <= size_;
  if (fits) offsets_ = reinterpret_cast<const std::int64_t*>(bytes_ + head_bytes);
  if (!fits || values_at(static_cast<std::size_t>(rows_)) + static_cast<std::size_t>(offsets_[rows_] * width_) * sizeof(float) + digest_bytes != size_) {
    ::munmap(mapped, size_);
    fail(ErrorKind::data, "{}: not a whole segment of a note cache; remove it, it is computed again", path.string());
  }
  values_ = reinterpret_cast<const float*>(bytes_ + values_at(static_cast<std::size_t>(rows_)));
}

MappedSegment::~MappedSegment() { ::munmap(const_cast<char*>(bytes_), size_); }

std::int64_t MappedSegment::rows() const { return rows_; }

bool MappedSegment::digest_fits() const {
  const DigestBytes digest = Sha256().update(bytes_, size_ - digest_bytes).finish();
  return std::memcmp(digest.data(), bytes_ + size_ - digest_bytes, digest_bytes) == 0;
}

}  // namespace tributary
