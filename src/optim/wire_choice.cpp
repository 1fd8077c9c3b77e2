#include "optim/wire_choice.h"

#include "comm/host_wire.h"

namespace tributary {

DeviceWire make_wire(const Communicator& comm, at::Device device) {
  if (device.is_cpu() || comm.size() == 1) return {std::make_shared<HostWire>(comm), std::nullopt};
  return make_gpu_wire(comm, device);
}

}  // namespace tributary
