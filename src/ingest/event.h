// What a row of a source table says about a record: a small value that is spilled per part and sorted there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace tributary {

struct Event {
  std::uint32_t row = 0;     // of its part
  std::int32_t minute = 0;   // since the start; may be negative
  std::uint32_t file = 0;    // number in the list of source files
  std::uint32_t target = 0;  // see Targets in table_events.h
  std::int64_t line = 0;
  double value = 0;
  std::uint64_t text_begin = 0;  // in EventList::text
  std::uint32_t text_size = 0;
  std::uint32_t serial = 0;  // among the events of a line and target
  // A total order that no number of ranks changes: record, time, place in the source.
  [[nodiscard]] auto order() const { return std::tuple(row, minute, file, line, target, serial); }
};

struct EventList {
  std::vector<Event> events;
  std::string text;
  [[nodiscard]] std::string_view text_of(const Event& event) const { return std::string_view(text).substr(event.text_begin, event.text_size); }
};

// One rank's events on their way into `folder`, one file a part. Memory: 32 MiB of buffers.
class EventSpill {
 public:
  EventSpill(std::filesystem::path folder, int rank, int parts);
  void add(int part, Event event, std::string_view text);
  void flush();  // to be called at the end; Throws: Error{io}

 private:
  std::filesystem::path folder_;
  int rank_;
  std::vector<std::string> buffers_;
  std::size_t buffered_bytes_ = 0;
};

// All ranks' events of a part, sorted. Throws: Error{io}.
[[nodiscard]] EventList load_events(const std::filesystem::path& folder, int part, int ranks);

}  // namespace tributary
