// The HDF5 library this process runs with.
#pragma once

#include <string>

namespace tributary {

[[nodiscard]] std::string hdf5_version();

}  // namespace tributary
