// The GPU libraries of this build; a build without CUDA has none.
#pragma once

#include <string>

namespace tributary {

struct AcceleratorVersions {
  std::string cuda;  // empty: not built in
  std::string nccl;
};
[[nodiscard]] AcceleratorVersions accelerator_versions();

}  // namespace tributary
