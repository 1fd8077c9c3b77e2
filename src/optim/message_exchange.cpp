#include "optim/message_exchange.h"

#include <c10/core/StreamGuard.h>

#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

void send(MessageGroup& group, const at::Tensor& part, int to) { group.sends.push_back({part.const_data_ptr(), part.nbytes(), to}); }
void receive(MessageGroup& group, const at::Tensor& part, int from) { group.receives.push_back({part.data_ptr(), part.nbytes(), from}); }

}  // namespace

MessageExchange::MessageExchange(const Communicator& all, const TeamShape& shape, std::vector<ArenaSlices> parts, const std::vector<Bucket>& buckets,
                                 at::Device device, DeviceWire wire, Begin begin, Trace* trace, int number)
    : all_(all),
      shape_(shape),
      rank_(all.rank()),
      node_(shape.node_of(rank_)),
      local_(shape.local_of(rank_)),
      parts_(std::move(parts)),
      device_(device),
      wire_(std::move(wire)),
      begin_(begin),
      trace_(trace),
      number_(number) {
  check(shape.nodes * shape.local == all.size() && wire_.wire->size() == all.size() && wire_.wire->rank() == rank_,
        "{} x {} ranks, a wire of {}, a group of {}", shape.nodes, shape.local, wire_.wire->size(), all.size());
  for (const Bucket& bucket : buckets) {
    std::vector<Pieces>& of_rank = pieces_.emplace_back();
    for (std::size_t r = 0; r < static_cast<std::size_t>(all.size()); ++r) of_rank.push_back(pieces_of_rank(bucket, parts_, r));
    for (const Range& range : bucket.ranges) elements_ += range.count;
  }
}

MessageExchange::~MessageExchange() {
  if (!under_way_) return;
  for (at::Tensor& partial : partials_) static_cast<void>(partial.unsafeReleaseTensorImpl());  // to the end of the job
  static_cast<void>(received_.unsafeReleaseTensorImpl());
}

std::int64_t MessageExchange::owned_before(int node) const {
  std::int64_t sum = 0;
  for (int n = 0; n < node; ++n)
    for (const ArenaSlices& part : parts_) sum += part.counts[static_cast<std::size_t>(rank_at(n, local_))];
  return sum;
}

at::Tensor MessageExchange::part_of(const Value& value, int node, const Range& range, std::int64_t place) const {
  switch (value.extent) {
    case Extent::stage:
      return value.memory.narrow(0, range.offset, range.count);
    case Extent::number:
      return value.memory.narrow(0, owned_before(node) + place, range.count);
    case Extent::rank:
      break;
  }
  check(node == node_, "node {} owns nothing of a value that node {} received", node, node_);
  return value.memory.narrow(0, place, range.count);
}

void MessageExchange::reserve(std::size_t partials) {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(device_);
  while (partials_.size() < partials) partials_.push_back(at::zeros({elements_}, options));
}

void MessageExchange::start(SumPlan plan) {
  check(queued_ == ready_, "a step begins before the one before it is finished");
  plan_ = std::move(plan);
  reserve(plan_.buffers);
  place_values();
  ready_ = queued_ = 0;
}

// Room for what others have of the values, and where every value lies.
void MessageExchange::place_values() {
  const std::int64_t of_number = owned_before(shape_.nodes), of_rank = owned_before(node_ + 1) - owned_before(node_);
  const SumPlan::Node& here = plan_.nodes[static_cast<std::size_t>(node_)];
  std::int64_t needed = 0;
  for (const PartialSum& value : here.values) needed += value.rank == rank_ ? 0 : of_number;
  for (std::size_t node = 0; node < plan_.nodes.size(); ++node)
    if (static_cast<int>(node) != node_) needed += static_cast<std::int64_t>(plan_.nodes[node].left.size()) * of_rank;
  if (!received_.defined() || received_.numel() < needed) received_ = at::empty({needed}, at::TensorOptions(at::kFloat).device(device_));
  std::int64_t used = 0;
  const auto take = [&](std::int64_t count) { return received_.narrow(0, std::exchange(used, used + count), count); };
  in_node_.clear();
  for (const PartialSum& value : here.values)
    in_node_.push_back(value.rank == rank_ ? Value{partials_[value.number], Extent::stage} : Value{take(of_number), Extent::number});
  of_nodes_.clear();
  for (std::size_t node = 0; node < plan_.nodes.size(); ++node)
    for (const std::size_t value : plan_.nodes[node].left)
      of_nodes_.push_back(static_cast<int>(node) == node_ ? in_node_[value] : Value{take(of_rank), Extent::rank});
}

at::Tensor MessageExchange::partial(std::size_t n) {
  check(n < partials_.size(), "partial sum {} of {}", n, partials_.size());
  return partials_[n];
}

void MessageExchange::ready(std::size_t buckets) {
  check(buckets >= ready_ && buckets <= pieces_.size(), "{} buckets ready after {}, of {}", buckets, ready_, pieces_.size());
  ready_ = buckets;
  if (begin_ == Begin::with_finish || queued_ == ready_) return;
  const TraceSpan span(trace_, TraceKind::sum_buckets, number_);
  while (queued_ < ready_) queue_bucket(queued_++);
}

void MessageExchange::queue_bucket(std::size_t bucket) {
  Wire& wire = *wire_.wire;
  under_way_ = true;
  wire.after_compute();
  wire.exchange(inside_node(bucket));
  if (!plan_.nodes[static_cast<std::size_t>(node_)].additions.empty()) wire.then([this, bucket] { add_inside_node(bucket); });
  wire.exchange(between_nodes(bucket));
  if (!plan_.additions.empty()) wire.then([this, bucket] { add_between_nodes(bucket); });
}

MessageGroup MessageExchange::inside_node(std::size_t bucket) const {
  MessageGroup group;
  const std::vector<PartialSum>& values = plan_.nodes[static_cast<std::size_t>(node_)].values;
  for (int step = 1; step < shape_.local; ++step) {
    const int to = (local_ + step) % shape_.local, from = (local_ + shape_.local - step) % shape_.local;
    for (std::size_t v = 0; v < values.size(); ++v)
      for (int node = 0; node < shape_.nodes; ++node) {
        if (values[v].rank == rank_)
          for (const Piece& piece : pieces(bucket, node, to))
            send(group, in_node_[v].memory.narrow(0, piece.range.offset, piece.range.count), rank_at(node_, to));
        if (values[v].rank == rank_at(node_, from))
          for (const Piece& piece : pieces(bucket, node, local_)) receive(group, part_of(in_node_[v], node, piece), rank_at(node_, from));
      }
  }
  return group;
}

MessageGroup MessageExchange::between_nodes(std::size_t bucket) const {
  MessageGroup group;
  std::size_t first = 0;  // of a node's values among those of all nodes
  for (int node = 0; node < shape_.nodes; ++node) {
    const std::size_t count = plan_.nodes[static_cast<std::size_t>(node)].left.size();
    if (node != node_) {
      for (std::size_t v = first; v < first + count; ++v)
        for (const Piece& piece : pieces(bucket, node_, local_)) receive(group, part_of(of_nodes_[v], node_, piece), rank_at(node, local_));
      for (const std::size_t v : plan_.nodes[static_cast<std::size_t>(node_)].left)
        for (const Piece& piece : pieces(bucket, node, local_)) send(group, part_of(in_node_[v], node, piece), rank_at(node, local_));
    }
    first += count;
  }
  return group;
}

void MessageExchange::add_inside_node(std::size_t bucket) const {
  const c10::OptionalStreamGuard guard(wire_.stream);
  for (int node = 0; node < shape_.nodes; ++node)
    for (const Piece& piece : pieces(bucket, node, local_))
      for (const Addition& a : plan_.nodes[static_cast<std::size_t>(node_)].additions)
        part_of(in_node_[a.into], node, piece).add_(part_of(in_node_[a.from], node, piece));
}

void MessageExchange::add_between_nodes(std::size_t bucket) const {
  const c10::OptionalStreamGuard guard(wire_.stream);
  for (const Piece& piece : pieces(bucket, node_, local_))
    for (const Addition& a : plan_.additions) part_of(of_nodes_[a.into], node_, piece).add_(part_of(of_nodes_[a.from], node_, piece));
}

std::vector<at::Tensor> MessageExchange::finish() {
  check(ready_ == pieces_.size(), "{} of {} buckets are ready", ready_, pieces_.size());
  while (queued_ < ready_) queue_bucket(queued_++);
  wire_.wire->wait();
  under_way_ = false;
  std::vector<at::Tensor> slices;
  std::int64_t place = 0;
  for (const ArenaSlices& part : parts_) {
    const Range own{part.offsets[static_cast<std::size_t>(rank_)], part.counts[static_cast<std::size_t>(rank_)]};
    slices.push_back(part_of(of_nodes_.front(), node_, own, place));
    place += own.count;
  }
  return slices;
}

at::Tensor MessageExchange::place_weights(const at::Tensor& weights) { return weights; }

// First between ranks of the same number on all nodes, then what came with them inside each node: a slice crosses to another node once.
void MessageExchange::share_weights(const at::Tensor& arena) {
  if (all_.size() == 1) return;
  const ArenaSlices& slices = parts_.front();
  const auto slice = [&](int rank) { return arena.narrow(0, slices.offsets[static_cast<std::size_t>(rank)], slices.counts[static_cast<std::size_t>(rank)]); };
  const auto filled = [&](int rank) { return slices.counts[static_cast<std::size_t>(rank)] > 0; };
  MessageGroup across, inside;
  for (int node = 0; node < shape_.nodes; ++node) {
    const int peer = rank_at(node, local_);
    if (node != node_ && filled(rank_)) send(across, slice(rank_), peer);
    if (node != node_ && filled(peer)) receive(across, slice(peer), peer);
    for (int local = 0; local < shape_.local; ++local) {
      if (local == local_) continue;
      if (filled(peer)) send(inside, slice(peer), rank_at(node_, local));
      if (filled(rank_at(node, local))) receive(inside, slice(rank_at(node, local)), rank_at(node_, local));
    }
  }
  Wire& wire = *wire_.wire;
  wire.after_compute();
  wire.exchange(std::move(across));
  wire.exchange(std::move(inside));
  wire.before_compute();
}

void MessageExchange::meet() { all_.barrier(); }

}  // namespace tributary
