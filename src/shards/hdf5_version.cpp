#include "shards/hdf5_version.h"

#include <fmt/core.h>
#include <hdf5.h>

#include "shards/hdf5_lock.h"

namespace tributary {

std::string hdf5_version() {
  const auto lock = hdf5_lock();
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace tributary
