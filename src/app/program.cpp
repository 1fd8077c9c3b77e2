#include "app/program.h"

#include <cstdio>
#include <exception>
#include <optional>

#include "base/error.h"

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

}  // namespace tributary
