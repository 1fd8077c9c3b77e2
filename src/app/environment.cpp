#include "app/environment.h"

#include <cstdlib>

namespace tributary {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

void set_environment_default(const std::string& name, const std::string& value) { ::setenv(name.c_str(), value.c_str(), 0); }

}  // namespace tributary
