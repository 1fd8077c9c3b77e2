// What this binary is and what made it.
#pragma once

#include <string>

namespace tributary {

[[nodiscard]] std::string program_version();
[[nodiscard]] std::string compiler_version();

// Of the file that this process runs, so that builds of one version are told apart. Hex SHA-256 of the digests of its 16 MiB blocks, computed once.
// Throws: Error{io} when the file cannot be read.
[[nodiscard]] const std::string& program_digest();

}  // namespace tributary
