// A last resort for a process that must end while it may hang in MPI or on a disk.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>

namespace tributary {

// Ends this process with `exit_code` after 2 s, whatever it does by then. Where the machine gives no thread to wait for that it leaves at once, with
// `last_words` on stderr for what would have been said meanwhile.
inline void exit_soon(int exit_code, const std::string& last_words = {}) noexcept {
  try {
    std::thread([exit_code] {
      std::this_thread::sleep_for(std::chrono::seconds(2));
      std::_Exit(exit_code);
    }).detach();
  } catch (const std::exception&) {
    std::fputs(last_words.c_str(), stderr);
    std::fflush(stdout);
    std::fflush(stderr);
    std::_Exit(exit_code);
  }
}

}  // namespace tributary
