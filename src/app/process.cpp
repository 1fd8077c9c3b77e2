#include "app/process.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "app/environment.h"

namespace tributary {
namespace {

// Each leaf takes and gives back the same memory: what goes back to the system comes again page by page, each of them cleared (2 % of a step of MiniLM's
// shape).
void keep_memory_of_leaves() {
  constexpr int mib = 1024 * 1024;
  ::mallopt(M_MMAP_THRESHOLD, 32 * mib);  // the most that glibc allows
  ::mallopt(M_TRIM_THRESHOLD, 1024 * mib);
}

}  // namespace

void prepare_process() {
  ::umask(077);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGPIPE, SIG_IGN);
  set_environment_default("OMP_NUM_THREADS", "1");
  set_environment_default("MKL_NUM_THREADS", "1");
  set_environment_default("MKL_DYNAMIC", "FALSE");
  set_environment_default("MKL_CBWR", "AUTO,STRICT");
  set_environment_default("CUBLAS_WORKSPACE_CONFIG", ":4096:8");  // with which cuBLAS gives the same bits each time
  keep_memory_of_leaves();
  at::set_num_threads(1);
}

}  // namespace tributary
