// Whether somebody asked this process to save and leave: SIGUSR1, SIGUSR2, SIGTERM, or a time limit.
#pragma once

#include <array>
#include <csignal>
#include <optional>

#include "base/clock.h"

namespace tributary {

// Installs the handlers and restores the former ones in its destructor; one at a time in a process.
class StopRequest {
 public:
  explicit StopRequest(std::optional<double> limit_s, const Stopwatch& started = {});  // the limit counts from `started`
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // On this rank; it becomes true for all when the step's sum carries it.
  [[nodiscard]] bool pending() const;

 private:
  static constexpr std::array signals_{SIGUSR1, SIGUSR2, SIGTERM};
  std::optional<double> limit_s_;
  Stopwatch watch_;
  std::array<struct sigaction, signals_.size()> former_{};
};

}  // namespace tributary
