#include "app/process.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "app/environment.h"

namespace tributary {

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
  at::set_num_threads(1);
}

}  // namespace tributary
