#include "shards/hdf5_version.h"

#include <fmt/core.h>
#include <hdf5.h>

namespace tributary {

// The header's version: the library itself refuses to run with another one.
std::string hdf5_version() { return fmt::format("{}.{}.{}", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE); }

}  // namespace tributary
