// The HDF5 library of this build.
#pragma once

#include <string>

namespace tributary {

[[nodiscard]] std::string hdf5_version();

}  // namespace tributary
