// One message between two ranks, under way until somebody waits for it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

// Messages between two ranks on one communicator arrive in the order in which they were sent, and are taken in the order in which receives were posted.
// The bytes belong to the caller and stay where they are until the message is done. Owns: the request; one that is dropped under way (only while an error is
// thrown) is cancelled, and its bytes must outlive the communicator.
class Transfer {
 public:
  [[nodiscard]] static Transfer send(const Communicator& comm, std::span<const std::byte> bytes, int to);
  [[nodiscard]] static Transfer receive(const Communicator& comm, std::span<std::byte> bytes, int from);

  Transfer() = default;
  ~Transfer();
  Transfer(Transfer&& other) noexcept;
  Transfer& operator=(Transfer&& other) noexcept;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] bool done();  // also drives MPI's progress
  // Blocks: until the peer has taken (send) or sent (receive) it. Throws: Error{launch}.
  void wait();

 private:
  int rank_ = 0;
  bool receives_ = false;
  std::vector<MPI_Request> requests_;  // pieces below MPI's limit of counts
};

}  // namespace tributary
