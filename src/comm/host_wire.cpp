#include "comm/host_wire.h"

#include <span>
#include <utility>

namespace tributary {

HostWire::HostWire(const Communicator& comm) : comm_(comm.split(0, comm.rank())) {}

void HostWire::exchange(MessageGroup group) {
  queue_.emplace_back(std::move(group));
  advance(false);
}

void HostWire::then(std::function<void()> work) {
  queue_.emplace_back(std::move(work));
  advance(false);
}

void HostWire::wait() { advance(true); }

void HostWire::begin(const MessageGroup& group) {
  for (const MessageGroup::Receive& r : group.receives)
    under_way_.push_back(Transfer::receive(comm_, std::span(static_cast<std::byte*>(r.data), r.bytes), r.from));
  for (const MessageGroup::Send& s : group.sends) under_way_.push_back(Transfer::send(comm_, std::span(static_cast<const std::byte*>(s.data), s.bytes), s.to));
  begun_ = true;
}

void HostWire::advance(bool block) {
  for (; !queue_.empty(); queue_.pop_front()) {
    if (const auto* work = std::get_if<std::function<void()>>(&queue_.front())) {
      (*work)();
      continue;
    }
    if (!begun_) begin(std::get<MessageGroup>(queue_.front()));
    for (; !under_way_.empty(); under_way_.pop_front()) {
      if (block)
        under_way_.front().wait();
      else if (!under_way_.front().done())
        return;
    }
    begun_ = false;
  }
}

}  // namespace tributary
