// HDF5 is not thread-safe: whoever calls it, in any folder, holds this lock for the time of the calls. The first lock sets the library up.
#pragma once

#include <mutex>

namespace tributary {

[[nodiscard]] std::unique_lock<std::recursive_mutex> hdf5_lock();

}  // namespace tributary
