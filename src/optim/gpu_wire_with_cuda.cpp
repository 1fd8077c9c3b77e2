#include <c10/cuda/CUDAStream.h>

#include "comm/nccl_wire.h"
#include "optim/wire_choice.h"

namespace tributary {

DeviceWire make_gpu_wire(const Communicator& comm, at::Device device) {
  const c10::cuda::CUDAStream compute = c10::cuda::getCurrentCUDAStream(device.index());
  const c10::cuda::CUDAStream messages = c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index());
  return {make_nccl_wire(comm, messages.stream(), compute.stream()), messages.unwrap()};
}

}  // namespace tributary
