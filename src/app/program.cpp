#include "app/program.h"

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "comm/watchdog.h"

namespace tributary {
namespace {

int leave(const Session& session, const std::string& message, int exit_code, bool shared) {
  const bool alone = session.world.size() == 1;
  if (!alone && !shared) {
    fmt::print(stderr, "tributary: rank {}: {}\n", session.world.rank(), message);
    std::fflush(nullptr);
    abort_all(exit_code);
  }
  if (session.world.rank() == 0) fmt::print(stderr, "tributary: {}\n", message);
  std::fflush(nullptr);
  return exit_code;
}

int run_session(int argc, char** argv, const std::function<int(int, char**, const Session&)>& command, const Stopwatch& started) {
  const Communicator world = Communicator::world();
  const Session session{world, Log(world.rank()), started};
  try {
    return command(argc, argv, session);
  } catch (const Error& error) {
    return leave(session, error.what(), error.exit_code(), error.shared());
  } catch (const std::exception& error) {
    return leave(session, error.what(), static_cast<int>(ErrorKind::internal), false);
  }
}

// MPI ends on all ranks together, and a rank may stop after the watchdog's last look. By an alarm, which needs no thread.
void finalise(std::optional<MpiRuntime>& runtime) {
  if (const std::optional<double> limit_s = limit_of_former_watchdog()) {
    std::signal(SIGALRM, [](int) {
      constexpr std::string_view text = "tributary: MPI did not end within the watchdog's limit: a rank is stopped on its way out, or its node is lost\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
      std::_Exit(static_cast<int>(ErrorKind::watchdog));
    });
    ::alarm(static_cast<unsigned>(std::ceil(*limit_s)));
  }
  runtime.reset();
  ::alarm(0);
}

}  // namespace

int run_program(int argc, char** argv, const std::function<int(int, char**, const Session&)>& command) {
  const Stopwatch started;
  std::optional<MpiRuntime> runtime;
  try {
    runtime.emplace(argc, argv);
  } catch (const Error& error) {
    fmt::print(stderr, "tributary: {}\n", error.what());
    return error.exit_code();
  }
  const int code = run_session(argc, argv, command, started);
  finalise(runtime);
  return code;
}

}  // namespace tributary
