// MPI for unit tests that need a communicator of one rank: initialised at first use, finalised at the end of the program.
#pragma once

#include "comm/communicator.h"

namespace tributary::test {

inline void start_mpi() {
  static int argc = 0;
  static char** argv = nullptr;
  static const MpiRuntime runtime(argc, argv);
}

}  // namespace tributary::test
