// What stands between main and a command: MPI, the process's exit code, and how an error leaves the job.
#pragma once

#include <functional>

#include "app/commands.h"

namespace tributary {

// Starts MPI and runs `command`, whose result is the exit code. An error that all ranks share is told once and each rank leaves in order with its code; one
// that this rank alone has ends the job with its code, since others may wait for this rank.
[[nodiscard]] int run_program(int argc, char** argv, const std::function<int(int, char**, const Session&)>& command);

}  // namespace tributary
