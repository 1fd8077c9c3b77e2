// Wire by MPI, on host memory.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <variant>

#include "comm/communicator.h"
#include "comm/transfer.h"
#include "comm/wire.h"

namespace tributary {

// The next group begins when the one before it has ended; computation on the host is done when it returns, so before_compute() waits and after_compute() has
// nothing to do. Messages move while the wire is called.
class HostWire final : public Wire {
 public:
  explicit HostWire(const Communicator& comm);  // Collective: all ranks of `comm`

  [[nodiscard]] int rank() const override { return comm_.rank(); }
  [[nodiscard]] int size() const override { return comm_.size(); }
  void exchange(MessageGroup group) override;
  void then(std::function<void()> work) override;
  void after_compute() override {}
  void before_compute() override { wait(); }
  void wait() override;
  void abort() noexcept override {}  // a job that MPI ends waits for nobody

 private:
  void begin(const MessageGroup& group);
  void advance(bool block);
  Communicator comm_;  // a channel of its own
  std::deque<std::variant<MessageGroup, std::function<void()>>> queue_;
  bool begun_ = false;  // the group at the front
  std::list<Transfer> under_way_;
};

}  // namespace tributary
