#include "base/version.h"

namespace tributary {

std::string program_version() { return TRIBUTARY_VERSION; }

std::string compiler_version() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

}  // namespace tributary
