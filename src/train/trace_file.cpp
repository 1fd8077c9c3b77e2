#include "train/trace_file.h"

#include <cstring>

#include "base/files.h"
#include "comm/agree.h"
#include "comm/clock_offset.h"

namespace tributary {
namespace {

std::vector<TraceEvent> events_of(const std::string& bytes) {
  std::vector<TraceEvent> events(bytes.size() / sizeof(TraceEvent));
  std::memcpy(events.data(), bytes.data(), events.size() * sizeof(TraceEvent));
  return events;
}

}  // namespace

void tell_untraced(const Log& log, const Trace* trace, std::int64_t done, std::int64_t total) {
  if (trace == nullptr || log.rank() != 0) return;
  const auto [first, last] = trace->steps();
  const auto warn = [&](const char* runs, std::int64_t step, const char* lost) {
    log.warn("--trace steps={}:{}: the run {} step {}, {}", first, last, runs, step, lost);
  };
  if (first <= done) warn("goes on after", done, last <= done ? "nothing is traced" : "the steps up to there are not traced");
  if (last > total) warn("ends after", total, first > total ? "nothing is traced" : "later steps are not traced");
}

void keep_trace(const Holding& holding, const Log& log, Watchdog& watchdog, Trace* trace, const std::filesystem::path& folder) {
  const std::vector<TraceEvent> events = trace != nullptr ? trace->take() : std::vector<TraceEvent>();
  if (events.empty()) return;  // on all ranks alike: each records at least its steps
  watchdog.progress("write the trace", events.back().step);
  const std::filesystem::path path = folder / "trace.json";
  const ProcessGrid& grid = holding.grid;
  const Communicator& world = grid.world();
  // Now and not at the start of the run: clocks drift, and the steps are not long ago.
  const std::vector<ClockOffset> offsets = measure_clock_offsets(world, grid.nodes(), steady_ns);
  const std::vector<std::string> all = world.gather({reinterpret_cast<const char*>(events.data()), events.size() * sizeof(TraceEvent)}, 0);
  agreed(world, [&] {
    if (world.rank() != 0) return;
    std::vector<RankTrace> ranks;
    for (std::size_t r = 0; r < all.size(); ++r) {
      const GridPlace& place = grid.places()[r];
      ranks.push_back({place.data, holding.stages_of(place.pipeline), offsets[r].offset_ns, events_of(all[r])});
    }
    write_file(path, to_chrome_json(ranks));
  });
  log.once("{}: steps {} to {}; to be opened in https://ui.perfetto.dev", path.string(), events.front().step, events.back().step);
}

}  // namespace tributary
