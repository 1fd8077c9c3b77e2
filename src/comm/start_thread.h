// A thread, or an error that names the limits by which a machine refuses one.
#pragma once

#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace tributary {

// `purpose`: what goes undone without the thread. Throws: Error{launch} when the machine gives none.
template <class Work>
[[nodiscard]] std::jthread start_thread(std::string_view purpose, Work&& work) {
  try {
    return std::jthread(std::forward<Work>(work));
  } catch (const std::system_error& error) {
    fail(ErrorKind::launch,
         "no thread for {}: {}; processes and threads have reached a limit of this user (ulimit -u), of the job's cgroup (pids.max) or of the memory for their "
         "stacks (ulimit -v, ulimit -s): raise it, or start fewer ranks a node",
         purpose, error.what());
  }
}

}  // namespace tributary
