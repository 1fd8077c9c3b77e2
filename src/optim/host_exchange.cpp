#include "optim/host_exchange.h"

#include <span>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

constexpr std::size_t ready_channel = NodeSignals::first_free;

void add(float* into, const float* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) into[i] += from[i];
}

std::span<std::byte> bytes_at(float* values, std::int64_t count) { return std::as_writable_bytes(std::span(values, static_cast<std::size_t>(count))); }

// Block by block, so that partial sums stay in the cache.
void add_all(const std::vector<Addition>& additions, const std::vector<float*>& values, const std::vector<std::int64_t>& begins, std::int64_t count) {
  for (std::int64_t begin = 0; begin < count; begin += arena_block)
    for (const Addition& a : additions) add(values[a.into] + begins[a.into] + begin, values[a.from] + begins[a.from] + begin, arena_block);
}

}  // namespace

HostExchange::HostExchange(const Communicator& all, const TeamShape& shape, std::vector<ArenaSlices> parts, const std::vector<Bucket>& buckets, Trace* trace,
                           int number)
    : rank_(all.rank()), team_(all, shape), signals_(team_.local), parts_(std::move(parts)), trace_(trace), number_(number) {
  for (const Bucket& bucket : buckets) {
    Work& work = work_.emplace_back();
    for (int node = 0; node < shape.nodes; ++node)
      work.of_node.push_back(pieces_of_rank(bucket, parts_, static_cast<std::size_t>(node * shape.local + shape.local_of(rank_))));
    for (const Range& range : bucket.ranges) elements_ += range.count;
  }
}

HostExchange::~HostExchange() {
  if (!receives_.empty() || !sends_.empty()) static_cast<void>(memory_.release());  // to the end of the job
}

std::size_t HostExchange::own_elements() const {
  std::int64_t sum = 0;
  for (const ArenaSlices& part : parts_) sum += part.counts[static_cast<std::size_t>(rank_)];
  return static_cast<std::size_t>(sum);
}

float* HostExchange::address(std::size_t partial, int local) const {
  const Buffers& buffers = memory_->partials[partial];
  if (buffers.own.defined()) return buffers.own.data_ptr<float>();
  return reinterpret_cast<float*>(buffers.shared->bytes().data()) + local * elements_;
}

float* HostExchange::value(std::size_t n) const {
  const PartialSum& sum = plan_.nodes[static_cast<std::size_t>(team_.shape.node_of(rank_))].values[n];
  return address(sum.number, team_.shape.local_of(sum.rank));
}

void HostExchange::reserve(std::size_t partials) {
  while (memory_->partials.size() < partials) {
    Buffers buffers;
    if (team_.shape.local == 1)
      buffers.own = at::zeros({elements_}, at::kFloat);
    else
      buffers.shared.emplace(team_.local, static_cast<std::size_t>(team_.shape.local * elements_) * sizeof(float),
                             fmt::format("partial sum {} of the gradients of {} ranks", memory_->partials.size() + 1, team_.shape.local));
    memory_->partials.push_back(std::move(buffers));
  }
}

void HostExchange::start(SumPlan plan) {
  check(receives_.empty() && sends_.empty(), "a step begins before the one before it is finished");
  plan_ = std::move(plan);
  reserve(plan_.buffers);
  meet();
  ready_ = summed_ = 0;
  ++epoch_;
  post_receives();
}

at::Tensor HostExchange::partial(std::size_t n) {
  check(n < memory_->partials.size(), "partial sum {} of {}", n, memory_->partials.size());
  if (memory_->partials[n].own.defined()) return memory_->partials[n].own;
  return at::from_blob(address(n, team_.local.rank()), {elements_}, at::kFloat);
}

// Of a rank that owns no elements of the stage nothing.
float* HostExchange::received() const { return memory_->received.defined() ? memory_->received.data_ptr<float>() : nullptr; }

// Receives stand from the start, in the order in which the others send: bucket by bucket, value by value, piece by piece.
void HostExchange::post_receives() {
  const int own_node = team_.shape.node_of(rank_);
  std::int64_t values = 0;
  for (int node = 0; node < team_.shape.nodes; ++node)
    if (node != own_node) values += static_cast<std::int64_t>(plan_.nodes[static_cast<std::size_t>(node)].left.size());
  const auto own = static_cast<std::int64_t>(own_elements());
  if (values * own == 0) return;
  at::Tensor& room = memory_->received;
  if (!room.defined() || room.numel() < values * own) room = at::empty({values * own}, at::kFloat);
  for (const Work& work : work_) {
    float* into = room.data_ptr<float>();
    for (int node = 0; node < team_.shape.nodes; ++node) {
      if (node == own_node) continue;
      for (std::size_t v = 0; v < plan_.nodes[static_cast<std::size_t>(node)].left.size(); ++v, into += own)
        for (const Piece& piece : work.of_node[static_cast<std::size_t>(own_node)])
          receives_.push_back(Transfer::receive(team_.across, bytes_at(into + piece.place, piece.range.count), node));
    }
  }
}

void HostExchange::ready(std::size_t buckets) {
  check(buckets >= ready_ && buckets <= work_.size(), "{} buckets ready after {}, of {}", buckets, ready_, work_.size());
  ready_ = buckets;
  signals_.raise(ready_channel, epoch_ * static_cast<std::int64_t>(work_.size() + 1) + static_cast<std::int64_t>(ready_));
  advance(trace_);
}

void HostExchange::advance(Trace* trace) {
  std::optional<TraceSpan> span;  // where there is something to add
  while (summed_ < ready_ && signals_.reached(ready_channel, epoch_ * static_cast<std::int64_t>(work_.size() + 1) + static_cast<std::int64_t>(summed_ + 1))) {
    if (!span) span.emplace(trace, TraceKind::sum_buckets, number_);
    const Work& work = work_[summed_++];
    sum_in_node(work);
    send(work);
  }
  while (!sends_.empty() && sends_.front().done()) sends_.pop_front();  // also drives what comes in
}

void HostExchange::sum_in_node(const Work& work) const {
  const SumPlan::Node& node = plan_.nodes[static_cast<std::size_t>(team_.shape.node_of(rank_))];
  if (node.additions.empty()) return;
  std::vector<float*> values;
  for (std::size_t v = 0; v < node.values.size(); ++v) values.push_back(value(v));
  for (const std::vector<Piece>& pieces : work.of_node)
    for (const Piece& piece : pieces) add_all(node.additions, values, std::vector<std::int64_t>(values.size(), piece.range.offset), piece.range.count);
}

void HostExchange::send(const Work& work) {
  const int own_node = team_.shape.node_of(rank_);
  for (int step = 1; step < team_.shape.nodes; ++step) {
    const int to = (own_node + step) % team_.shape.nodes;
    for (const std::size_t v : plan_.nodes[static_cast<std::size_t>(own_node)].left)
      for (const Piece& piece : work.of_node[static_cast<std::size_t>(to)])
        sends_.push_back(Transfer::send(team_.across, bytes_at(value(v) + piece.range.offset, piece.range.count), to));
  }
}

void HostExchange::sum_between_nodes() {
  const int own_node = team_.shape.node_of(rank_);
  const auto own = static_cast<std::int64_t>(own_elements());
  std::vector<float*> values;
  std::vector<bool> here;
  float* from = received();
  for (int node = 0; node < team_.shape.nodes; ++node)
    for (const std::size_t v : plan_.nodes[static_cast<std::size_t>(node)].left) {
      here.push_back(node == own_node);
      values.push_back(node == own_node ? value(v) : std::exchange(from, from + own));
    }
  if (plan_.additions.empty()) return;
  std::vector<std::int64_t> begins(values.size());
  for (const Work& work : work_)
    for (const Piece& piece : work.of_node[static_cast<std::size_t>(own_node)]) {
      for (std::size_t v = 0; v < values.size(); ++v) begins[v] = here[v] ? piece.range.offset : piece.place;
      add_all(plan_.additions, values, begins, piece.range.count);
    }
}

std::vector<at::Tensor> HostExchange::finish() {
  check(ready_ == work_.size(), "{} of {} buckets are ready", ready_, work_.size());
  signals_.wait(ready_channel, epoch_ * static_cast<std::int64_t>(work_.size() + 1) + static_cast<std::int64_t>(work_.size()), [this] { advance(nullptr); });
  advance(nullptr);
  for (Transfer& transfer : receives_) transfer.wait();
  sum_between_nodes();
  for (Transfer& transfer : sends_) transfer.wait();
  receives_.clear();
  sends_.clear();
  // The sum stands where the first value of all nodes is.
  int first_node = 0;
  while (plan_.nodes[static_cast<std::size_t>(first_node)].left.empty()) ++first_node;
  const bool here = first_node == team_.shape.node_of(rank_);
  float* sum = here ? value(plan_.nodes[static_cast<std::size_t>(first_node)].left.front()) : received();
  std::vector<at::Tensor> slices;
  std::int64_t place = 0;
  for (const ArenaSlices& part : parts_) {
    const auto rank = static_cast<std::size_t>(rank_);
    slices.push_back(at::from_blob(sum + (here ? part.offsets[rank] : place), {part.counts[rank]}, at::kFloat));
    place += part.counts[rank];
  }
  return slices;
}

at::Tensor HostExchange::place_weights(const at::Tensor& weights) {
  if (team_.shape.local == 1) return weights;
  const auto memory = std::make_shared<SharedMemory>(team_.local, weights.nbytes(), "the weights of a stage");
  const at::Tensor arena = at::from_blob(
      memory->bytes().data(), {weights.numel()}, [memory](void*) {}, weights.options());
  if (team_.leads()) arena.copy_(weights);
  meet();
  return arena;
}

void HostExchange::share_weights(const at::Tensor& arena) {
  const ArenaSlices& slices = parts_.front();
  if (team_.shape.nodes > 1) {
    ArenaSlices across;
    for (int node = 0; node < team_.shape.nodes; ++node) {
      const auto rank = static_cast<std::size_t>(node * team_.shape.local + team_.shape.local_of(rank_));
      across.counts.push_back(slices.counts[rank]);
      across.offsets.push_back(slices.offsets[rank]);
    }
    const std::int64_t trained = slices.offsets.back() + slices.counts.back();
    team_.across.all_gather_in_place(std::span(arena.data_ptr<float>(), static_cast<std::size_t>(trained)), across.counts, across.offsets);
  }
  meet();
}

void HostExchange::meet() { signals_.meet(); }

}  // namespace tributary
