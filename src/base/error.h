// The one exception of the program: what was expected, what was found, where, and which knob to turn.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tributary {

// The values are the process exit codes (after sysexits.h; 75 and 76 are read by Slurm scripts).
enum class ErrorKind : int {
  configuration = 64,
  data = 65,      // bad data or checkpoint
  missing = 66,   // an input does not exist
  internal = 68,  // a broken promise inside the program: please report
  launch = 69,    // wrong number of ranks, wrong machine, missing library
  numerical = 70,
  cannot_create = 73,
  io = 74,
  preempted = 75,  // saved; requeue me
  watchdog = 76,
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message, std::string where = {}) : std::runtime_error(where.empty() ? message : where + ": " + message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] int exit_code() const { return static_cast<int>(kind_); }

  // True when every rank of the job throws this error at the same place, so that each can leave in good order; false: the others may be waiting for this one.
  [[nodiscard]] bool shared() const { return shared_; }
  Error& mark_shared() {
    shared_ = true;
    return *this;
  }

 private:
  ErrorKind kind_;
  bool shared_ = false;
};

// Throws Error with a message made by fmt.
template <class... Arguments>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw Error(kind, fmt::format(format, std::forward<Arguments>(arguments)...));
}

// Throws Error{internal} unless `holds`: for promises between our own modules, never for what a user can cause.
template <class... Arguments>
void check(bool holds, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::internal, format, std::forward<Arguments>(arguments)...);
}

}  // namespace tributary
