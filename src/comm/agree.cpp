#include "comm/agree.h"

#include <array>
#include <string>

namespace tributary {

void agree(const Communicator& comm, const std::exception_ptr& failure) {
  int kind = 0;
  std::string message;
  if (failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    } catch (const std::exception& error) {
      kind = static_cast<int>(ErrorKind::internal);
      message = error.what();
    }
  }
  std::array<std::int64_t, 1> last_failing{kind == 0 ? -1 : comm.size() - comm.rank()};  // the maximum is the lowest failing rank
  comm.maximum(last_failing);
  if (last_failing[0] < 0) return;
  const int first = comm.size() - static_cast<int>(last_failing[0]);
  const std::string told = comm.broadcast(fmt::format("{} {}", kind, message), first);
  const std::size_t space = told.find(' ');
  const auto agreed_kind = static_cast<ErrorKind>(std::stoi(told.substr(0, space)));
  std::array<std::int64_t, 1> differs{message != told.substr(space + 1)};
  comm.maximum(differs);
  Error error(agreed_kind, differs[0] == 0 ? told.substr(space + 1) : fmt::format("rank {}: {}", first, told.substr(space + 1)));
  if (comm.size() == job_size()) error.mark_shared();
  throw error;
}

}  // namespace tributary
