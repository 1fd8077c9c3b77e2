// A last resort for a process that is on its way out but may hang there.
#pragma once

#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace tributary {

// Ends this process with `exit_code` after 2 s, whatever it does by then. By an alarm: a thread may not be had any more.
inline void exit_soon(int exit_code) {
  static volatile std::sig_atomic_t code;
  code = exit_code;
  std::signal(SIGALRM, [](int) { std::_Exit(code); });
  ::alarm(2);
}

}  // namespace tributary
