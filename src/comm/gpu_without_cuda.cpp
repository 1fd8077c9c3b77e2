#include "comm/gpu.h"

namespace tributary {

GpuSupport gpu_support() { return {}; }

}  // namespace tributary
