// Messages of raw memory between the ranks of a group, in an order that computation keeps to. One small interface: MPI on host memory (host_wire.h), NCCL on
// the memory of GPUs (nccl_wire.h).
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace tributary {

// Messages that are under way together. Those between two ranks are matched in the order in which they stand here, on both; both give the same bytes.
struct MessageGroup {
  struct Send {
    const void* data = nullptr;
    std::size_t bytes = 0;
    int to = 0;
  };
  struct Receive {
    void* data = nullptr;
    std::size_t bytes = 0;
    int from = 0;
  };
  std::vector<Send> sends;
  std::vector<Receive> receives;
  [[nodiscard]] bool empty() const { return sends.empty() && receives.empty(); }
};

// A queue: what is put in runs in this order, and no call but wait() needs a peer to be there. Ranks that have messages for each other put their groups in in
// the same order. Memory belongs to the caller and stays where it is until wait() or, for later computation, before_compute().
class Wire {
 public:
  virtual ~Wire() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  virtual void exchange(MessageGroup group) = 0;

  // `work` sees what came with the groups before it, and the groups after it see what it did. On a GPU it is called at once and begins its kernels on the
  // stream of the wire; it must not block.
  virtual void then(std::function<void()> work) = 0;

  virtual void after_compute() = 0;   // what follows in the queue sees what computation has begun so far
  virtual void before_compute() = 0;  // computation that begins from here on sees what is in the queue so far

  // Blocks: until the queue is empty. Throws: Error{launch} on a failure of the transport, after abort().
  virtual void wait() = 0;

  // Ends what is under way, so that nobody waits for it; the wire is of no more use. May be called from any thread.
  virtual void abort() noexcept = 0;
};

}  // namespace tributary
