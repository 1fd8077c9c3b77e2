#include "ingest/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

constexpr std::size_t buffer_limit_bytes = std::size_t{32} << 20;

std::filesystem::path spill_file(const std::filesystem::path& folder, int part, int rank) { return folder / fmt::format("part-{:05}.rank-{:05}", part, rank); }

void append(const std::filesystem::path& path, const std::string& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "ab");
  if (file == nullptr) fail(ErrorKind::io, "{}: cannot open for writing: {}", path.string(), std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if ((std::fclose(file) != 0) | !written)
    fail(ErrorKind::io, "{}: write failed: {}; free some space or choose another --out", path.string(), std::strerror(errno));
}

}  // namespace

EventSpill::EventSpill(std::filesystem::path folder, int rank, int parts)
    : folder_(std::move(folder)), rank_(rank), buffers_(static_cast<std::size_t>(parts)) {}

void EventSpill::add(int part, Event event, std::string_view text) {
  event.text_begin = 0;
  event.text_size = static_cast<std::uint32_t>(text.size());
  std::string& buffer = buffers_[static_cast<std::size_t>(part)];
  buffer.append(reinterpret_cast<const char*>(&event), sizeof event).append(text);
  buffered_bytes_ += sizeof event + text.size();
  if (buffered_bytes_ > buffer_limit_bytes) flush();
}

void EventSpill::flush() {
  for (std::size_t part = 0; part < buffers_.size(); ++part) {
    if (buffers_[part].empty()) continue;
    append(spill_file(folder_, static_cast<int>(part), rank_), buffers_[part]);
    buffers_[part] = {};
  }
  buffered_bytes_ = 0;
}

EventList load_events(const std::filesystem::path& folder, int part, int ranks) {
  EventList list;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto path = spill_file(folder, part, rank);
    if (!std::filesystem::exists(path)) continue;
    const std::string bytes = read_file(path);
    for (std::size_t at = 0; at < bytes.size();) {
      Event event;
      if (bytes.size() - at < sizeof event) fail(ErrorKind::io, "{}: the file is cut off", path.string());
      std::memcpy(&event, bytes.data() + at, sizeof event);
      at += sizeof event;
      if (bytes.size() - at < event.text_size) fail(ErrorKind::io, "{}: the file is cut off", path.string());
      event.text_begin = list.text.size();
      list.text.append(bytes, at, event.text_size);
      at += event.text_size;
      list.events.push_back(event);
    }
  }
  std::sort(list.events.begin(), list.events.end(), [](const Event& a, const Event& b) { return a.order() < b.order(); });
  return list;
}

}  // namespace tributary
