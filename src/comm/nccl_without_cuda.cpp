#include "base/error.h"
#include "comm/nccl_wire.h"

namespace tributary {

std::unique_ptr<Wire> make_nccl_wire(const Communicator& /*comm*/, void* /*stream*/, void* /*compute*/) {
  fail(ErrorKind::launch, "rank {}: sums over GPUs by NCCL, but this program was built without it; build the preset `cuda` (launch/setup --cuda)", job_rank());
}

}  // namespace tributary
