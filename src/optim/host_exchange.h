// SliceExchange in host memory. Inside a node partial sums and weights lie in shared memory: each rank adds its slices of all, in place, and updates its slice
// of the one copy of the weights. Between nodes the nodes' sums go by MPI, slice by slice, between ranks of the same number on their nodes. With one rank a
// node of the team that is plain MPI.
#pragma once

#include <list>
#include <memory>
#include <optional>

#include "base/trace.h"
#include "comm/shared_memory.h"
#include "comm/team.h"
#include "comm/transfer.h"
#include "optim/slice_exchange.h"

namespace tributary {

class HostExchange final : public SliceExchange {
 public:
  // `all`: the ranks that hold the stage. parts: as slice_gradient(); buckets: as make_buckets(). trace: takes a span of the sums beside backward, by the
  // number of the stage; null: none. Collective: all ranks of `all`.
  HostExchange(const Communicator& all, const TeamShape& shape, std::vector<ArenaSlices> parts, const std::vector<Bucket>& buckets, Trace* trace = nullptr,
               int number = -1);
  ~HostExchange() override;  // while an error is thrown: keeps what messages under way read and write
  HostExchange(const HostExchange&) = delete;
  HostExchange& operator=(const HostExchange&) = delete;

  void reserve(std::size_t partials) override;
  void start(SumPlan plan) override;
  [[nodiscard]] at::Tensor partial(std::size_t n) override;
  void ready(std::size_t buckets) override;
  [[nodiscard]] std::vector<at::Tensor> finish() override;
  [[nodiscard]] at::Tensor place_weights(const at::Tensor& weights) override;
  void share_weights(const at::Tensor& arena) override;
  void meet() override;

 private:
  struct Work {                               // of a bucket
    std::vector<std::vector<Piece>> of_node;  // [nodes] what the rank of this one's number there owns
  };
  [[nodiscard]] float* address(std::size_t partial, int local) const;
  [[nodiscard]] float* value(std::size_t n) const;  // of this node's n-th value
  [[nodiscard]] float* received() const;
  [[nodiscard]] std::size_t own_elements() const;
  void advance(Trace* trace);
  void post_receives();
  void sum_in_node(const Work& work) const;
  void send(const Work& work);
  void sum_between_nodes();

  int rank_;
  Team team_;
  NodeSignals signals_;
  std::vector<ArenaSlices> parts_;
  std::int64_t elements_ = 0;  // of a partial sum
  std::vector<Work> work_;     // [buckets]
  struct Buffers {             // the n-th partial sums of the ranks of this node
    std::optional<SharedMemory> shared;
    at::Tensor own;  // where nobody shares
  };
  struct Memory {
    std::vector<Buffers> partials;
    at::Tensor received;  // [values left on other nodes, own slices]; undefined as long as there are none
  };
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
  Trace* trace_;
  int number_;  // of the stage
  SumPlan plan_;
  std::size_t ready_ = 0, summed_ = 0;  // buckets
  std::int64_t epoch_ = 0;
  std::list<Transfer> receives_, sends_;
};

}  // namespace tributary
