#include "base/version.h"

#include "base/digest.h"

namespace tributary {

std::string program_version() { return TRIBUTARY_VERSION; }

std::string compiler_version() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

const std::string& program_digest() {
  static const std::string digest = hex(digest_file("/proc/self/exe").root());
  return digest;
}

}  // namespace tributary
