#include <cuda_runtime_api.h>
#include <nccl.h>

#include "base/error.h"
#include "comm/gpu.h"

namespace tributary {
namespace {

std::string describe(int device) {
  cudaDeviceProp properties{};
  if (const cudaError_t code = cudaGetDeviceProperties(&properties, device); code != cudaSuccess)
    return fmt::format("device {}: {}", device, cudaGetErrorString(code));
  return fmt::format("{}, sm_{}{}, {:.1f} GiB", properties.name, properties.major, properties.minor,
                     static_cast<double>(properties.totalGlobalMem) / (1024.0 * 1024 * 1024));
}

}  // namespace

GpuSupport gpu_support() {
  GpuSupport support;
  support.built = true;
  int version = 0;
  if (ncclGetVersion(&version) == ncclSuccess) support.nccl_version = fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  int count = 0;
  if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess) support.problem = cudaGetErrorString(code);
  for (int device = 0; device < count; ++device) support.devices.push_back(describe(device));
  return support;
}

}  // namespace tributary
