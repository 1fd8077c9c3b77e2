#include "optim/gradient_tree.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

void add(float* into, const float* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) into[i] += from[i];
}

std::span<float> span_of(const at::Tensor& tensor) { return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())}; }

}  // namespace

ArenaSlices slice_arena(std::int64_t total, int ranks) {
  check(total % arena_block == 0, "an arena of {} elements is not a multiple of {}", total, arena_block);
  const std::int64_t blocks = total / arena_block;
  ArenaSlices slices;
  for (int r = 0; r < ranks; ++r) {
    const std::int64_t first = blocks * r / ranks, last = blocks * (r + 1) / ranks;
    slices.offsets.push_back(first * arena_block);
    slices.counts.push_back((last - first) * arena_block);
  }
  return slices;
}

GradientTree::GradientTree(const Communicator& comm, const ParameterLayout& layout, Reduction reduction)
    : comm_(comm), layout_(layout), reduction_(reduction), slices_(slice_arena(layout.trainable, comm.size())) {}

void GradientTree::start(std::vector<std::int64_t> bounds) {
  check(bounds.size() == static_cast<std::size_t>(comm_.size()) + 1 && bounds.front() == 0 && bounds.back() >= 1, "{} bounds for {} ranks", bounds.size(),
        comm_.size());
  bounds_ = std::move(bounds);
  counter_ = std::make_unique<TreeCounter>(bounds_.back());
  std::move(partials_.begin(), partials_.end(), std::back_inserter(pool_));
  partials_.clear();
}

at::Tensor GradientTree::begin(std::int64_t /*leaf*/) {
  if (pool_.empty()) return make_gradient_arena(layout_, at::kFloat);
  at::Tensor arena = std::move(pool_.back());
  pool_.pop_back();
  return arena.zero_();
}

void GradientTree::add_topmost() {
  const at::Tensor right = std::move(partials_.back());
  partials_.pop_back();
  add(partials_.back().data_ptr<float>(), right.data_ptr<float>(), layout_.trainable);
  pool_.push_back(right);
}

void GradientTree::complete(std::int64_t leaf, at::Tensor gradient) {
  const auto rank = static_cast<std::size_t>(comm_.rank());
  check(counter_ != nullptr && leaf >= bounds_[rank] && leaf < bounds_[rank + 1], "leaf {} is not one of rank {}", leaf, rank);
  partials_.push_back(std::move(gradient));
  const int due = counter_->push({0, leaf});
  if (reduction_ == Reduction::fast) {
    if (partials_.size() == 2) add_topmost();
  } else {
    for (int i = 0; i < due; ++i) add_topmost();
  }
}

std::vector<std::vector<TreeNode>> GradientTree::nodes_of_ranks() const {
  std::vector<std::vector<TreeNode>> nodes;
  for (std::size_t r = 0; r + 1 < bounds_.size(); ++r) {
    nodes.push_back(complete_nodes(bounds_.back(), bounds_[r], bounds_[r + 1]));
    if (reduction_ == Reduction::fast && nodes.back().size() > 1) nodes.back().resize(1);  // the rank's one sum; its place in a tree has no meaning
  }
  return nodes;
}

at::Tensor GradientTree::reduce() {
  const auto rank = static_cast<std::size_t>(comm_.rank()), ranks = static_cast<std::size_t>(comm_.size());
  const auto nodes = nodes_of_ranks();
  check(counter_ != nullptr && partials_.size() == nodes[rank].size(), "rank {} reduces {} partial sums, its leaves make {}", rank, partials_.size(),
        nodes[rank].size());
  if (ranks == 1) return partials_.front();

  std::vector<std::int64_t> first_node(ranks + 1, 0);
  std::size_t rounds = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    first_node[r + 1] = first_node[r] + static_cast<std::int64_t>(nodes[r].size());
    rounds = std::max(rounds, nodes[r].size());
  }
  const std::int64_t own = slices_.counts[rank];
  if (!received_.defined() || received_.numel() < first_node[ranks] * own) received_ = at::empty({first_node[ranks] * own}, at::kFloat);
  const auto received = span_of(received_);
  // Round i moves every rank's i-th node; a partial arena is itself the send buffer, so nothing is packed.
  for (std::size_t round = 0; round < rounds; ++round) {
    const bool sends = round < partials_.size();
    std::vector<std::int64_t> receive_counts(ranks, 0), receive_offsets(ranks, 0);
    for (std::size_t r = 0; r < ranks; ++r) {
      if (round >= nodes[r].size()) continue;
      receive_counts[r] = own;
      receive_offsets[r] = (first_node[r] + static_cast<std::int64_t>(round)) * own;
    }
    comm_.all_to_all(sends ? span_of(partials_[round]) : std::span<float>(), sends ? slices_.counts : std::vector<std::int64_t>(ranks, 0),
                     sends ? slices_.offsets : std::vector<std::int64_t>(ranks, 0), received, receive_counts, receive_offsets);
  }
  std::vector<Addition> order;
  if (reduction_ == Reduction::exact) {
    std::vector<TreeNode> all;
    for (const auto& of_rank : nodes) all.insert(all.end(), of_rank.begin(), of_rank.end());
    order = additions(bounds_.back(), all);
  } else {
    for (std::size_t n = 1; n < static_cast<std::size_t>(first_node[ranks]); ++n) order.push_back({0, n});
  }
  float* values = received.data();
  for (std::int64_t begin = 0; begin < own; begin += arena_block)  // block by block, so that partial sums stay in the cache
    for (const Addition& a : order)
      add(values + static_cast<std::int64_t>(a.into) * own + begin, values + static_cast<std::int64_t>(a.from) * own + begin, arena_block);
  return received_.narrow(0, 0, own);
}

std::vector<double> reduce_scalars(const Communicator& comm, const std::vector<std::int64_t>& bounds, std::int64_t width, const std::vector<double>& values) {
  const auto rank = static_cast<std::size_t>(comm.rank());
  std::vector<std::int64_t> counts, offsets;
  for (std::size_t r = 0; r + 1 < bounds.size(); ++r) {
    counts.push_back((bounds[r + 1] - bounds[r]) * width);
    offsets.push_back(bounds[r] * width);
  }
  check(static_cast<std::int64_t>(values.size()) == counts[rank], "rank {} gives {} numbers, its leaves make {}", rank, values.size(), counts[rank]);
  std::vector<double> all(static_cast<std::size_t>(bounds.back() * width));
  std::copy(values.begin(), values.end(), all.begin() + offsets[rank]);
  comm.all_gather_in_place(std::span(all), counts, offsets);
  std::vector<double> sums, column(static_cast<std::size_t>(bounds.back()));
  for (std::int64_t c = 0; c < width; ++c) {
    for (std::size_t leaf = 0; leaf < column.size(); ++leaf) column[leaf] = all[leaf * static_cast<std::size_t>(width) + static_cast<std::size_t>(c)];
    sums.push_back(tree_sum(column));
  }
  return sums;
}

}  // namespace tributary
