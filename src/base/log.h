// Lines for people, on stderr, each with time and rank. Never record text: cite shard and row.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace tributary {

// Passed to those who report; a value, so that tests can listen by giving another stream.
class Log {
 public:
  explicit Log(int rank, std::FILE* stream = stderr) : rank_(rank), stream_(stream) {}
  template <class... Arguments>
  void info(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    write("", fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  template <class... Arguments>
  void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    write("warning: ", fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  // Only rank 0 speaks: for what is the same on all ranks.
  template <class... Arguments>
  void once(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    if (rank_ == 0) write("", fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  [[nodiscard]] int rank() const { return rank_; }

 private:
  void write(std::string_view level, const std::string& message) const;
  int rank_;
  std::FILE* stream_;
};

}  // namespace tributary
