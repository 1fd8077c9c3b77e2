#include "base/error.h"
#include "comm/gpu.h"

namespace tributary {

GpuSupport gpu_support() { return {}; }

void use_gpu(int device) {
  fail(ErrorKind::launch, "GPU {} cannot be used: this program was built without CUDA; build the preset `cuda` (launch/setup --cuda)", device);
}

}  // namespace tributary
