// SliceExchange by messages, on any device: every rank keeps partial sums and weights of its own. Inside a node the ranks send each other what the receiver's
// number owns, on all nodes, and each adds; then the nodes' sums go to the ranks of the same number on other nodes, which own them.
#pragma once

#include <memory>

#include "base/trace.h"
#include "comm/team.h"
#include "optim/slice_exchange.h"
#include "optim/wire_choice.h"

namespace tributary {

class MessageExchange final : public SliceExchange {
 public:
  enum class Begin {
    with_ready,  // a bucket's messages begin when it is ready, beside backward: the only exchange of its wire, or all ranks' buckets are ready in one order
    with_finish  // all messages begin in finish(): exchanges may share a wire
  };
  // Why not always with_ready: NCCL wants its calls in one order on all ranks, and the stages of a rank become ready in an order that depends on how many
  // leaves its pipeline has. A wire for each stage is no way out, for kernels of two communicators wait for each other where ranks start them in different
  // orders.

  // `all`: the ranks that hold the stage, which the wire connects. parts: as slice_gradient(); buckets: as make_buckets(). Keeps a reference to `all`. trace:
  // takes a span of the sums that begin beside backward, by the number of the stage; null: none.
  MessageExchange(const Communicator& all, const TeamShape& shape, std::vector<ArenaSlices> parts, const std::vector<Bucket>& buckets, at::Device device,
                  DeviceWire wire, Begin begin, Trace* trace = nullptr, int number = -1);

  ~MessageExchange() override;  // while an error is thrown: keeps what messages under way read and write
  MessageExchange(const MessageExchange&) = delete;
  MessageExchange& operator=(const MessageExchange&) = delete;

  void reserve(std::size_t partials) override;
  void start(SumPlan plan) override;
  [[nodiscard]] at::Tensor partial(std::size_t n) override;
  void ready(std::size_t buckets) override;
  [[nodiscard]] std::vector<at::Tensor> finish() override;
  [[nodiscard]] at::Tensor place_weights(const at::Tensor& weights) override;
  void share_weights(const at::Tensor& arena) override;
  void meet() override;

 private:
  using Pieces = std::vector<Piece>;
  // Where a value of the sum lies on this rank, and what of it: the stage's whole buffer; what this rank's number owns on each node, side by side; what this
  // rank owns.
  enum class Extent { stage, number, rank };
  struct Value {
    at::Tensor memory;
    Extent extent = Extent::stage;
  };
  [[nodiscard]] int rank_at(int node, int local) const { return node * shape_.local + local; }
  [[nodiscard]] const Pieces& pieces(std::size_t bucket, int node, int local) const { return pieces_[bucket][static_cast<std::size_t>(rank_at(node, local))]; }
  [[nodiscard]] std::int64_t owned_before(int node) const;  // elements that this rank's number owns on the nodes before
  // Of what the rank of this one's number owns on a node; `place` as Piece::place.
  [[nodiscard]] at::Tensor part_of(const Value& value, int node, const Range& range, std::int64_t place) const;
  [[nodiscard]] at::Tensor part_of(const Value& value, int node, const Piece& piece) const { return part_of(value, node, piece.range, piece.place); }
  void place_values();
  void queue_bucket(std::size_t bucket);
  [[nodiscard]] MessageGroup inside_node(std::size_t bucket) const;
  [[nodiscard]] MessageGroup between_nodes(std::size_t bucket) const;
  void add_inside_node(std::size_t bucket) const;
  void add_between_nodes(std::size_t bucket) const;

  const Communicator& all_;
  TeamShape shape_;
  int rank_, node_, local_;
  std::vector<ArenaSlices> parts_;
  std::vector<std::vector<Pieces>> pieces_;  // [buckets, ranks]
  std::int64_t elements_ = 0;                // of a partial sum
  at::Device device_;
  DeviceWire wire_;
  Begin begin_;
  Trace* trace_;
  int number_;  // of the stage
  SumPlan plan_;
  std::vector<at::Tensor> partials_;
  at::Tensor received_;                 // of others
  std::vector<Value> in_node_;          // as SumPlan::Node::values of this node
  std::vector<Value> of_nodes_;         // as SumPlan::additions counts
  std::size_t ready_ = 0, queued_ = 0;  // buckets
  bool under_way_ = false;              // something queued that is not known to be done
};

}  // namespace tributary
