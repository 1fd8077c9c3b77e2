#include "comm/watchdog.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "comm/exit_soon.h"
#include "comm/missing_ranks.h"
#include "comm/start_thread.h"

namespace tributary {
namespace {

std::atomic<double> former_limit_s{0};
constexpr int quiet_ticks = 5;  // a thread that wakes up every tick is late by as much only when its process is stopped

}  // namespace

std::optional<double> limit_of_former_watchdog() {
  const double limit_s = former_limit_s;
  return limit_s > 0 ? std::optional(limit_s) : std::nullopt;
}

Watchdog::Watchdog(const Communicator& comm, double limit_s, std::filesystem::path report_folder, Act act, std::optional<Communicator> node)
    : rank_(comm.rank()),
      limit_(std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(limit_s))),
      tick_(std::min<std::chrono::steady_clock::duration>(std::chrono::milliseconds(500), limit_ / 8)),
      folder_(std::move(report_folder)),
      act_(std::move(act)),
      since_(std::chrono::steady_clock::now()) {
  thread_ = start_thread("the watchdog", [this](const std::stop_token& stop) { run(stop); });
  all_ = comm.split(0, rank_);
  auto table = std::make_unique<ProgressTable>(*all_, node ? std::move(*node) : all_->split_by_node());
  news_ = std::make_unique<NodeNews>(*all_, *table, tick_);
  const std::lock_guard lock(mutex_);
  table_ = std::move(table);
  operation_ = "start";
  since_ = std::chrono::steady_clock::now();
  tell_where();
}

// A rank that stops on the way out is missing for the others as anywhere else: all is watched to the end, and told of until everybody has arrived.
Watchdog::~Watchdog() {
  if (std::uncaught_exceptions() == 0) {
    progress("leave the watchdog", step_);
    MPI_Barrier(all_->handle());
    former_limit_s = std::chrono::duration<double>(limit_).count();
  }
  news_.reset();
  std::unique_ptr<ProgressTable> table;
  {
    const std::lock_guard lock(mutex_);
    table = std::move(table_);
  }
  table.reset();
  all_.reset();
}

std::string Watchdog::where() const { return fmt::format("\"{}{}{}\" of step {}", operation_, part_.empty() ? "" : ": ", part_, step_); }

void Watchdog::tell_where() const { table_->of(rank_).where.write(where()); }

void Watchdog::progress(std::string_view operation, std::int64_t step) {
  const std::lock_guard lock(mutex_);
  operation_ = operation;
  part_.clear();
  step_ = step;
  since_ = std::chrono::steady_clock::now();
  tell_where();
  table_->of(rank_).steps.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::alive(std::string_view part) {
  const std::lock_guard lock(mutex_);
  part_ = part;
  since_ = std::chrono::steady_clock::now();
  tell_where();
}

void Watchdog::run(const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  bool told = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (table_) table_->of(rank_).beat_ms.store(steady_ms());
    const Clock::time_point slept = Clock::now();
    if (changed_.wait_for(lock, stop, tick_, [&stop] { return stop.stop_requested(); })) return;
    const Clock::time_point now = Clock::now();
    if (now - slept > quiet_ticks * tick_) stop_ = {now, now - slept};
    if (now - since_ < limit_ || told) continue;
    told = true;
    const std::string text = report(now - since_);
    lock.unlock();
    if (act_)
      act_(text);
    else
      leave(text);
    lock.lock();
  }
}

std::string Watchdog::report(std::chrono::duration<double> idle) const {
  const auto quiet = std::chrono::duration_cast<std::chrono::milliseconds>(quiet_ticks * tick_);
  const MissingRanks missing =
      table_ ? missing_ranks(*table_, rank_, quiet) : MissingRanks{"missing ranks: not known while they join or leave the watchdog.", ""};
  const std::chrono::duration<double> stopped = stop_.end > since_ ? stop_.time : std::chrono::steady_clock::duration{};
  return fmt::format(
      "watchdog: rank {} has made no progress for {:.0f} s in {}{}; {} Look at those ranks and their node; a larger run.watchdog_s allows longer "
      "operations.{}",
      rank_, idle.count(), where(), stopped.count() > 0 ? fmt::format(" (itself stopped for {:.0f} s)", stopped.count()) : "", missing.summary, missing.lines);
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
