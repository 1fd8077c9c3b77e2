#include "comm/watchdog.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/files.h"

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
    mine = new (own) Counter{{0}, {now_ms()}, {comm.rank()}};
    node.barrier();
  }
  ~Shared() {
    if (std::uncaught_exceptions() == 0) MPI_Win_free(&window);  // collective: not when this rank alone leaves by an error
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  struct alignas(64) Counter {
    std::atomic<std::int64_t> steps;    // calls of progress()
    std::atomic<std::int64_t> beat_ms;  // last sign of life of the rank's watchdog thread: a stopped process gives none
    std::atomic<int> rank;
  };
  Communicator node;
  MPI_Win window = MPI_WIN_NULL;
  std::vector<Counter*> counters;  // of the node's ranks
  Counter* mine = nullptr;
};

Watchdog::Watchdog(const Communicator& comm, double limit_s, std::filesystem::path report_folder, Act act)
    : rank_(comm.rank()),
      limit_s_(limit_s),
      folder_(std::move(report_folder)),
      act_(std::move(act)),
      shared_(std::make_unique<Shared>(comm)),
      since_(std::chrono::steady_clock::now()) {
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

void Watchdog::progress(std::string_view operation, std::int64_t step) {
  const std::lock_guard lock(mutex_);
  operation_ = operation;
  part_.clear();
  step_ = step;
  since_ = std::chrono::steady_clock::now();
  shared_->mine->steps.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::alive(std::string_view part) {
  const std::lock_guard lock(mutex_);
  part_ = part;
  since_ = std::chrono::steady_clock::now();
}

void Watchdog::run() {
  using Duration = std::chrono::steady_clock::duration;
  const auto limit = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(limit_s_));
  const Duration tick = std::min<Duration>(std::chrono::milliseconds(500), limit / 8);
  std::unique_lock lock(mutex_);
  for (;;) {
    shared_->mine->beat_ms.store(now_ms());
    if (changed_.wait_for(lock, tick, [&] { return stopping_; })) return;
    if (std::chrono::steady_clock::now() - since_ < limit) continue;
    const std::string text = report();
    lock.unlock();
    if (act_)
      act_(text);
    else
      leave(text);
    return;
  }
}

std::string Watchdog::report() const {
  const std::int64_t own = shared_->mine->steps.load();
  std::string behind;
  for (const Shared::Counter* counter : shared_->counters)
    if (counter->steps.load() < own || now_ms() - counter->beat_ms.load() > static_cast<std::int64_t>(500 * limit_s_))
      behind += fmt::format("{}{}", behind.empty() ? "" : ", ", counter->rank.load());
  return fmt::format(
      "watchdog: rank {} has made no progress for {:.0f} s in \"{}\" of step {}; ranks behind or stopped on this node: {}. Look at those ranks and their node; "
      "a larger "
      "run.watchdog_s allows longer operations.",
      rank_, std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count(), part_.empty() ? operation_ : operation_ + ": " + part_, step_,
      behind.empty() ? "none known" : behind);
}

void Watchdog::leave(const std::string& report) const {
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    ::_exit(static_cast<int>(ErrorKind::watchdog));
  }).detach();
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
