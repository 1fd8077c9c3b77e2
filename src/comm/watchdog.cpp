#include "comm/watchdog.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "comm/exit_soon.h"

namespace tributary {

namespace {

std::int64_t now_ms() {  // one clock for all processes of a machine
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Watchdog::Shared {
  explicit Shared(const Communicator& comm) : node(comm.split_by_node()) {
    void* own = nullptr;
    const int code = MPI_Win_allocate_shared(sizeof(Counter), sizeof(Counter), MPI_INFO_NULL, node.handle(), &own, &window);
    if (code != MPI_SUCCESS) fail(ErrorKind::launch, "rank {}: no shared memory for the watchdog's {} bytes; is /dev/shm full?", comm.rank(), sizeof(Counter));
    for (int r = 0; r < node.size(); ++r) {
      MPI_Aint size = 0;
      int unit = 0;
      void* base = nullptr;
      MPI_Win_shared_query(window, r, &size, &unit, &base);
      counters.push_back(static_cast<Counter*>(base));
    }
    mine = new (own) Counter{{0}, {now_ms()}, {comm.rank()}, {}};
    node.barrier();
  }
  ~Shared() {
    if (std::uncaught_exceptions() == 0) MPI_Win_free(&window);  // collective: not when this rank alone leaves by an error
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  // Where a rank is, in words. Two texts that take turns: the one that is read is written again only after the next one, so a hung rank's is whole.
  struct Text {
    static constexpr std::size_t room = 240;
    std::array<std::array<std::atomic<char>, room>, 2> letters;
    std::atomic<std::size_t> current;
    void write(std::string_view text) {
      const std::size_t next = 1 - current.load(std::memory_order_relaxed), length = std::min(text.size(), room - 1);
      for (std::size_t i = 0; i < length; ++i) letters[next][i].store(text[i], std::memory_order_relaxed);
      letters[next][length].store(0, std::memory_order_relaxed);
      current.store(next, std::memory_order_release);
    }
    [[nodiscard]] std::string read() const {
      std::string text;
      for (const std::atomic<char>& letter : letters[current.load(std::memory_order_acquire)]) {
        const char found = letter.load(std::memory_order_relaxed);
        if (found == 0) break;
        text += found;
      }
      return text;
    }
  };
  struct alignas(64) Counter {
    std::atomic<std::int64_t> steps;    // calls of progress()
    std::atomic<std::int64_t> beat_ms;  // last sign of life of the rank's watchdog thread: a stopped process gives none
    std::atomic<int> rank;
    Text where;
  };
  Communicator node;
  MPI_Win window = MPI_WIN_NULL;
  std::vector<Counter*> counters;  // of the node's ranks
  Counter* mine = nullptr;
};

Watchdog::Watchdog(const Communicator& comm, double limit_s, std::filesystem::path report_folder, Act act)
    : rank_(comm.rank()),
      ranks_(comm.size()),
      limit_s_(limit_s),
      tick_(std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(std::min(0.5, limit_s / 8)))),
      folder_(std::move(report_folder)),
      act_(std::move(act)),
      shared_(std::make_unique<Shared>(comm)),
      since_(std::chrono::steady_clock::now()) {
  tell_where();
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::tell_where() const { shared_->mine->where.write(fmt::format("\"{}{}{}\" of step {}", operation_, part_.empty() ? "" : ": ", part_, step_)); }

void Watchdog::progress(std::string_view operation, std::int64_t step) {
  const std::lock_guard lock(mutex_);
  operation_ = operation;
  part_.clear();
  step_ = step;
  since_ = std::chrono::steady_clock::now();
  tell_where();
  shared_->mine->steps.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::alive(std::string_view part) {
  const std::lock_guard lock(mutex_);
  part_ = part;
  since_ = std::chrono::steady_clock::now();
  tell_where();
}

void Watchdog::run() {
  using Seconds = std::chrono::duration<double>;
  std::unique_lock lock(mutex_);
  for (;;) {
    shared_->mine->beat_ms.store(now_ms());
    if (changed_.wait_for(lock, tick_, [&] { return stopping_; })) return;
    const double idle_s = Seconds(std::chrono::steady_clock::now() - since_).count();
    if (idle_s < limit_s_) continue;
    const std::string text = report(idle_s);
    lock.unlock();
    if (act_)
      act_(text);
    else
      leave(text);
    return;
  }
}

std::string Watchdog::report(double idle_s) const {
  const std::int64_t own = shared_->mine->steps.load();
  const double quiet_s =
      5 * std::chrono::duration<double>(tick_).count();  // a thread that beats every tick is late by as much only when its process is stopped
  std::string stopped, behind, others;
  const auto list = [](std::string& names, int rank) { names += fmt::format("{}{}", names.empty() ? "" : " ", rank); };
  for (const Shared::Counter* counter : shared_->counters) {
    if (counter == shared_->mine) continue;
    const int rank = counter->rank.load();
    const double silent_s = static_cast<double>(now_ms() - counter->beat_ms.load()) * 1e-3;
    const bool is_stopped = silent_s > quiet_s, is_behind = counter->steps.load() < own;
    if (is_stopped)
      list(stopped, rank);
    else if (is_behind)
      list(behind, rank);
    others += fmt::format("\n  rank {} is in {}{}", rank, counter->where.read(),
                          is_stopped  ? fmt::format(", no sign of life for {:.0f} s", silent_s)
                          : is_behind ? ", behind"
                                      : "");
  }
  const auto seen = shared_->counters.size();
  return fmt::format(
      "watchdog: rank {} has made no progress for {:.0f} s in \"{}{}{}\" of step {}; missing ranks: stopped {}, behind {}.{} Look at those ranks and their "
      "node; "
      "a larger run.watchdog_s allows longer operations.{}",
      rank_, idle_s, operation_, part_.empty() ? "" : ": ", part_, step_, stopped.empty() ? "none" : stopped, behind.empty() ? "none" : behind,
      seen < static_cast<std::size_t>(ranks_) ? fmt::format(" Only the {} of {} ranks that run on this node are seen from here.", seen, ranks_) : "", others);
}

void Watchdog::leave(const std::string& report) const {
  exit_soon(static_cast<int>(ErrorKind::watchdog));  // writing the report may hang too
  fmt::print(stderr, "tributary: {}\n", report);
  std::fflush(stderr);
  if (!folder_.empty()) {
    try {
      write_file(folder_ / fmt::format("watchdog-rank-{}.txt", rank_), report + "\n");
    } catch (const Error& error) {
      fmt::print(stderr, "tributary: the report could not be kept: {}\n", error.what());
    }
  }
  abort_all(static_cast<int>(ErrorKind::watchdog));
}

}  // namespace tributary
