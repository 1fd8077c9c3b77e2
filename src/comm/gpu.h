// What this build and this machine can do with GPUs. Two source files implement it; CMake picks one, so a CPU build has no CUDA in it.
#pragma once

#include <string>
#include <vector>

namespace tributary {

struct GpuSupport {
  bool built = false;                // compiled with CUDA and NCCL
  std::string nccl_version;          // empty when not built
  std::vector<std::string> devices;  // "NVIDIA H200, sm_90, 139.8 GiB"; empty without a GPU
  std::string problem;               // why there is no device, in the driver's words; empty when there are some
};

[[nodiscard]] GpuSupport gpu_support();

// Throws: Error{launch} with the cause and the remedy unless this build can run on at least one GPU.
void require_gpu(const GpuSupport& support);

}  // namespace tributary
