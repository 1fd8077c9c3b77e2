// What this binary is and what made it.
#pragma once

#include <string>

namespace tributary {

[[nodiscard]] std::string program_version();
[[nodiscard]] std::string compiler_version();

}  // namespace tributary
