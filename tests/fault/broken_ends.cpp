// A job whose last rank stops once all have left the watchdog, or whose MPI library has no threads.
// broken_ends stop-last|no-threads
#include <mpi.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "app/process.h"
#include "app/program.h"
#include "comm/watchdog.h"

// In place of the library's, for which they stand.
extern "C" int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  const int code = PMPI_Init_thread(argc, argv, required, provided);
  if (*argc == 2 && std::string_view((*argv)[1]) == "no-threads") *provided = MPI_THREAD_SERIALIZED;
  return code;
}

extern "C" int MPI_Finalize() {
  std::fputs("MPI is finalised\n", stderr);
  return PMPI_Finalize();
}

int main(int argc, char** argv) {
  tributary::prepare_process();
  return tributary::run_program(argc, argv, [](int, char**, const tributary::Session& session) {
    { const tributary::Watchdog watchdog(session.world, 5, {}); }
    if (session.world.rank() == session.world.size() - 1) std::raise(SIGSTOP);
    return 0;
  });
}
