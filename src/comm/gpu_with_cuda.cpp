#include <cuda_runtime_api.h>
#include <nccl.h>

#include "base/error.h"
#include "comm/gpu.h"

namespace tributary {
namespace {

GpuDevice describe(int device) {
  cudaDeviceProp properties{};
  if (const cudaError_t code = cudaGetDeviceProperties(&properties, device); code != cudaSuccess)
    return {fmt::format("device {}, which cannot be asked for its properties: {}", device, cudaGetErrorString(code)), 0, {}};
  GpuDevice found;
  found.description = fmt::format("{}, sm_{}{}, {:.1f} GiB", properties.name, properties.major, properties.minor,
                                  static_cast<double>(properties.totalGlobalMem) / (1024.0 * 1024 * 1024));
  found.capability = 10 * properties.major + properties.minor;
  for (const char byte : properties.uuid.bytes) found.id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return found;
}

}  // namespace

GpuSupport gpu_support() {
  GpuSupport support;
  support.built = true;
  support.architectures = {TRIBUTARY_GPU_ARCHITECTURES};
  int version = 0;
  if (ncclGetVersion(&version) == ncclSuccess) support.nccl_version = fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  int count = 0;
  if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess) support.problem = cudaGetErrorString(code);
  for (int device = 0; device < count; ++device) support.devices.push_back(describe(device));
  return support;
}

void use_gpu(int device) {
  if (const cudaError_t code = cudaSetDevice(device); code != cudaSuccess)
    fail(ErrorKind::launch, "GPU {} cannot be used: {}", device, cudaGetErrorString(code));
}

}  // namespace tributary
