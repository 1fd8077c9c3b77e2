#include "base/log.h"

#include <array>
#include <ctime>

namespace tributary {

void Log::write(std::string_view level, const std::string& message) const {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 16> clock{};
  std::strftime(clock.data(), clock.size(), "%H:%M:%S", &parts);
  fmt::print(stream_, "{} [{}] {}{}\n", clock.data(), rank_, level, message);
  std::fflush(stream_);
}

}  // namespace tributary
