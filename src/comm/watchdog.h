// Ends a job that no longer moves: when a rank makes no progress for the limit, it says in which operation and which ranks are missing, and all leave with 76.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "comm/communicator.h"
#include "comm/node_news.h"
#include "comm/progress_table.h"

namespace tributary {

// Owns: a thread, and a few bytes of memory shared by the ranks of a node in which each counts its own progress and says what it does; nodes tell each other of
// theirs, so that a report can name who is missing wherever it runs. A wait inside MPI, in shared memory or on a disk ends by that thread, which ends the
// process.
class Watchdog {
 public:
  using Act = std::function<void(const std::string& report)>;

  // limit_s: longest time between two calls of progress() or alive(). `report_folder`: where the report is left (empty: on stderr alone).
  // `act`: what happens when the limit is passed, once; by default the report is written, MPI_Abort(76) follows, and _exit(76) should that hang for 2 s.
  // `node`: those of `comm` that are one node, in the same order; without: the ranks that share memory.
  // Collective: all ranks. Watches from its first moment to its last, in which the ranks join and leave.
  Watchdog(const Communicator& comm, double limit_s, std::filesystem::path report_folder, Act act = {}, std::optional<Communicator> node = std::nullopt);
  ~Watchdog();  // Collective: all ranks; not while an exception leaves
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Names what this rank does next; the limit counts from here. Every rank names the same operations in the same order, or the report cannot say who is behind.
  // step: the number of the step under way, as in events.jsonl.
  void progress(std::string_view operation, std::int64_t step);

  // The operation goes on, with this part of it: the limit counts from here, but nothing is counted, since ranks may have unequal numbers of parts.
  void alive(std::string_view part = {});

 private:
  void run(const std::stop_token& stop);
  // The following are called with the mutex held.
  void tell_where() const;  // to the other ranks
  [[nodiscard]] std::string where() const;
  [[nodiscard]] std::string report(std::chrono::duration<double> idle) const;
  void leave(const std::string& report) const;

  int rank_;
  std::chrono::steady_clock::duration limit_, tick_;
  std::filesystem::path folder_;
  Act act_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string operation_ = "join the watchdog", part_;
  std::int64_t step_ = 0;
  std::chrono::steady_clock::time_point since_;
  struct {
    std::chrono::steady_clock::time_point end;
    std::chrono::steady_clock::duration time;
  } stop_{};                              // the last one of this process, if any
  std::optional<Communicator> all_;       // of its own
  std::unique_ptr<ProgressTable> table_;  // null while the ranks join and leave
  std::unique_ptr<NodeNews> news_;
  std::jthread thread_;  // last: it uses all of the above
};

// The limit, in seconds, of the last watchdog that all ranks left in good order: they then come to the end of the process together.
[[nodiscard]] std::optional<double> limit_of_former_watchdog();

}  // namespace tributary
