#include "comm/gpu.h"

#include "base/error.h"

namespace tributary {

void require_gpu(const GpuSupport& support) {
  if (!support.built) {
    fail(ErrorKind::launch,
         "run.device = \"cuda\", but this program was built without CUDA; build the preset `cuda` (launch/setup --cuda) or set run.device = \"cpu\"");
  }
  if (support.devices.empty()) {
    fail(ErrorKind::launch, "run.device = \"cuda\", but no GPU was found ({}); start on a node with one (Slurm: --gres=gpu:N) or set run.device = \"cpu\"",
         support.problem);
  }
  fail(ErrorKind::launch, "run.device = \"cuda\": this version trains on CPUs only (found {}); set run.device = \"cpu\"", support.devices.front());
}

}  // namespace tributary
