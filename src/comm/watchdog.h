// Ends a job that no longer moves: when a rank makes no progress for the limit, it says in which operation and which ranks are missing, and all leave with 76.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

// Owns: a thread, and a few bytes of memory shared by the ranks of a node in which each counts its own progress and says what it does, so that a report can
// name who is missing. A wait inside MPI, in shared memory or on a disk ends by that thread, which ends the process.
class Watchdog {
 public:
  using Act = std::function<void(const std::string& report)>;

  // limit_s: longest time between two calls of progress() or alive(). `report_folder`: where the report is left (empty: on stderr alone).
  // `act`: what happens when the limit is passed, once; by default the report is written, MPI_Abort(76) follows, and _exit(76) should that hang for 2 s.
  // Collective: all ranks.
  Watchdog(const Communicator& comm, double limit_s, std::filesystem::path report_folder, Act act = {});
  ~Watchdog();  // Collective: all ranks
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Names what this rank does next; the limit counts from here. Every rank names the same operations in the same order, or the report cannot say who is behind.
  // step: the number of the step under way, as in events.jsonl.
  void progress(std::string_view operation, std::int64_t step);

  // The operation goes on, with this part of it: the limit counts from here, but nothing is counted, since ranks may have unequal numbers of parts.
  void alive(std::string_view part = {});

 private:
  struct Shared;  // the counters
  void run();
  void tell_where() const;                                // to the other ranks of the node; call with the mutex held
  [[nodiscard]] std::string report(double idle_s) const;  // call with the mutex held
  void leave(const std::string& report) const;

  int rank_, ranks_;
  double limit_s_;
  std::chrono::steady_clock::duration tick_;
  std::filesystem::path folder_;
  Act act_;
  std::unique_ptr<Shared> shared_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::string operation_ = "start", part_;
  std::int64_t step_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tributary
