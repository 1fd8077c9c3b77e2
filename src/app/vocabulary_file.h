// A vocab.txt named on the command line, read by rank 0 and known to all ranks.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

// Collective: all ranks of `comm`. Throws on all ranks together: Error{missing}, Error{data} naming the file and what it lacks.
[[nodiscard]] std::vector<std::string> read_vocabulary(const Communicator& comm, const std::string& path);

}  // namespace tributary
