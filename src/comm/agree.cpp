#include "comm/agree.h"

#include <array>
#include <iterator>
#include <sstream>
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
  std::istringstream told(comm.broadcast(fmt::format("{} {} {}", kind, job_rank(), message), first));
  int agreed_kind = 0, told_rank = 0;
  told >> agreed_kind >> told_rank;
  const std::string words(std::istreambuf_iterator<char>(told.ignore()), {});
  std::array<std::int64_t, 1> differs{message != words};
  comm.maximum(differs);
  const bool plain = differs[0] == 0 || words.starts_with("rank ");  // a group inside the job has named the rank already
  Error error(static_cast<ErrorKind>(agreed_kind), plain ? words : fmt::format("rank {}: {}", told_rank, words));
  if (comm.size() == job_size()) error.mark_shared();
  throw error;
}

}  // namespace tributary
