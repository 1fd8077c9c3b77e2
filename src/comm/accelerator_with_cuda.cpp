#include <cuda_runtime_api.h>
#include <fmt/core.h>
#include <nccl.h>

#include "base/error.h"
#include "comm/accelerator.h"

namespace tributary {

AcceleratorVersions accelerator_versions() {
  int cuda = 0, nccl = 0;
  if (cudaRuntimeGetVersion(&cuda) != cudaSuccess) fail(ErrorKind::launch, "the CUDA runtime library does not answer; check the CUDA installation");
  if (ncclGetVersion(&nccl) != ncclSuccess) fail(ErrorKind::launch, "the NCCL library does not answer; check that libnccl.so.2 fits this build");
  return {fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10), fmt::format("{}.{}.{}", nccl / 10000, nccl % 10000 / 100, nccl % 100)};
}

}  // namespace tributary
