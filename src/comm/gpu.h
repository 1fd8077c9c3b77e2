// What this build and this machine can do with GPUs, and which GPU a rank takes. Two source files implement what asks the driver; CMake picks one, so a CPU
// build has no CUDA in it.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

struct GpuDevice {
  std::string description;  // "NVIDIA H200, sm_90, 139.8 GiB"
  int capability = 0;       // 10 x major + minor: 90
  std::string id;           // the same in every process that sees the device
};

struct GpuSupport {
  bool built = false;              // compiled with CUDA and NCCL
  std::string nccl_version;        // empty when not built
  std::vector<int> architectures;  // for which LibTorch has kernels, as capabilities
  std::vector<GpuDevice> devices;  // by number, as this process sees them; empty without a GPU
  std::string problem;             // why there is no device, in the driver's words; empty when there are some
};

[[nodiscard]] GpuSupport gpu_support();

// Kernels run on a GPU of the same major capability and no lower minor one.
[[nodiscard]] bool has_kernels(const std::vector<int>& architectures, int capability);

// Throws: Error{launch} with the cause and the remedy unless this build can run on every GPU that this process sees, and there is one.
void require_gpu(const GpuSupport& support);

// The device number for rank `local` of a node. visible: of each of its ranks the ids of the devices it sees, by number. A rank takes the first one that none
// before it has; with `share` (run.share_gpu) those that are left over take the ones with the fewest ranks. Pure.
// Throws: Error{launch} with both numbers when there are fewer GPUs than ranks.
[[nodiscard]] int choose_gpu(int local, const std::vector<std::vector<std::string>>& visible, bool share);

// The same for this rank. Collective: all ranks of `node`, which share a machine. Throws: Error{launch} on all ranks of it together.
[[nodiscard]] int choose_gpu(const Communicator& node, const GpuSupport& support, bool share);

// Makes a device the one that this thread's CUDA calls mean; ATen's and NCCL's too. Throws: Error{launch} in the driver's words, without the rank (agreed()
// names it).
void use_gpu(int device);

}  // namespace tributary
