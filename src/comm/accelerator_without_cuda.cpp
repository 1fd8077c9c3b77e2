#include "comm/accelerator.h"

namespace tributary {

AcceleratorVersions accelerator_versions() { return {}; }

}  // namespace tributary
