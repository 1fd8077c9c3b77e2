// Which wire carries the sums of a device's gradients, and on which stream of the device additions between its messages run.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/Stream.h>

#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "comm/wire.h"

namespace tributary {

struct DeviceWire {
  std::shared_ptr<Wire> wire;
  std::optional<c10::Stream> stream;  // nothing: where computation runs
};

// Between the ranks of `comm`: MPI for the CPU and for a rank that is alone, NCCL for GPUs, beside what the device computes on its current stream.
// Collective: all ranks of `comm`. Throws: Error{launch} on all ranks together.
[[nodiscard]] DeviceWire make_wire(const Communicator& comm, at::Device device);

// NCCL's part, in a source file that CMake picks.
[[nodiscard]] DeviceWire make_gpu_wire(const Communicator& comm, at::Device device);

}  // namespace tributary
