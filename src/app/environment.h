// The process environment: read and written here alone, so that everything else depends on its arguments.
#pragma once

#include <optional>
#include <string>

namespace tributary {

[[nodiscard]] std::optional<std::string> environment(const std::string& name);

// Sets the variable unless the user has.
void set_environment_default(const std::string& name, const std::string& value);

}  // namespace tributary
