// Turns a failure on one rank into the same Error on all, so that no rank waits for one that has left.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "comm/communicator.h"

namespace tributary {

// Collective: all ranks of `comm`. `failure` is this rank's error or nullptr. When any rank has one, every rank throws Error with the kind and message of
// the first failing rank, its rank in the job named ("rank 2: ...") unless all ranks failed with the same words. The error is marked as shared when `comm`
// spans the job.
void agree(const Communicator& comm, const std::exception_ptr& failure);

// Collective: all ranks of `comm`. Runs `work` (which must not communicate on `comm`), then agrees. Returns what `work` returned.
template <class Work>
auto agreed(const Communicator& comm, Work&& work) -> decltype(work()) {
  std::exception_ptr failure;
  if constexpr (std::is_void_v<decltype(work())>) {
    try {
      std::forward<Work>(work)();
    } catch (...) {
      failure = std::current_exception();
    }
    agree(comm, failure);
  } else {
    std::optional<decltype(work())> result;
    try {
      result.emplace(std::forward<Work>(work)());
    } catch (...) {
      failure = std::current_exception();
    }
    agree(comm, failure);
    return std::move(*result);
  }
}

}  // namespace tributary
