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

std::vector<ArenaSlices> slice_gradient(const ModelLayout& layout, int stage, int ranks) {
  std::vector<ArenaSlices> parts{slice_arena(layout.stages.at(static_cast<std::size_t>(stage)).parameters.trainable, ranks)};
  for (const LaterUse& use : layout.later) {
    if (use.stage != stage) continue;
    const ParameterLayout& owner = layout.stages[static_cast<std::size_t>(use.owner)].parameters;
    const ParameterEntry& entry = owner.entries[use.entry];
    const ArenaSlices of_owner = slice_arena(owner.trainable, ranks);
    ArenaSlices& part = parts.emplace_back();
    for (std::size_t r = 0; r < of_owner.counts.size(); ++r) {
      const std::int64_t first = std::clamp(of_owner.offsets[r], entry.offset, entry.offset + entry.padded);
      const std::int64_t last = std::clamp(of_owner.offsets[r] + of_owner.counts[r], entry.offset, entry.offset + entry.padded);
      part.offsets.push_back(use.gradient + first - entry.offset);
      part.counts.push_back(last - first);
    }
  }
  return parts;
}

GradientTree::GradientTree(const Communicator& comm, const ModelLayout& layout, int stage, Reduction reduction)
    : comm_(comm),
      elements_(layout.stages.at(static_cast<std::size_t>(stage)).gradient),
      reduction_(reduction),
      slices_(slice_gradient(layout, stage, comm.size())) {}

void GradientTree::start(std::vector<std::int64_t> bounds) {
  check(bounds.size() == static_cast<std::size_t>(comm_.size()) + 1 && bounds.front() == 0 && bounds.back() >= 1, "{} bounds for {} ranks", bounds.size(),
        comm_.size());
  bounds_ = std::move(bounds);
  counter_ = std::make_unique<TreeCounter>(bounds_.back());
  std::move(partials_.begin(), partials_.end(), std::back_inserter(pool_));
  partials_.clear();
}

at::Tensor GradientTree::begin(std::int64_t /*leaf*/) {
  if (pool_.empty()) return at::zeros({elements_}, at::kFloat);
  at::Tensor buffer = std::move(pool_.back());
  pool_.pop_back();
  return buffer.zero_();
}

void GradientTree::add_topmost() {
  const at::Tensor right = std::move(partials_.back());
  partials_.pop_back();
  add(partials_.back().data_ptr<float>(), right.data_ptr<float>(), elements_);
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

// Receives every rank's nodes of one part, own slice, and adds them: the sum stands where `received` begins.
void GradientTree::reduce_part(const ArenaSlices& slices, const std::vector<std::vector<TreeNode>>& nodes, std::span<float> received) const {
  const auto rank = static_cast<std::size_t>(comm_.rank()), ranks = nodes.size();
  const std::int64_t own = slices.counts[rank];
  std::size_t rounds = 0;
  std::vector<std::int64_t> first_node(ranks + 1, 0);
  for (std::size_t r = 0; r < ranks; ++r) {
    first_node[r + 1] = first_node[r] + static_cast<std::int64_t>(nodes[r].size());
    rounds = std::max(rounds, nodes[r].size());
  }
  // Round i moves every rank's i-th node; a partial buffer is itself the send buffer, so nothing is packed.
  for (std::size_t round = 0; round < rounds; ++round) {
    const bool sends = round < partials_.size();
    std::vector<std::int64_t> receive_counts(ranks, 0), receive_offsets(ranks, 0);
    for (std::size_t r = 0; r < ranks; ++r) {
      if (round >= nodes[r].size()) continue;
      receive_counts[r] = own;
      receive_offsets[r] = (first_node[r] + static_cast<std::int64_t>(round)) * own;
    }
    comm_.all_to_all(sends ? span_of(partials_[round]) : std::span<float>(), sends ? slices.counts : std::vector<std::int64_t>(ranks, 0),
                     sends ? slices.offsets : std::vector<std::int64_t>(ranks, 0), received, receive_counts, receive_offsets);
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
}

std::vector<at::Tensor> GradientTree::reduce() {
  const auto rank = static_cast<std::size_t>(comm_.rank());
  const auto nodes = nodes_of_ranks();
  check(counter_ != nullptr && partials_.size() == nodes[rank].size(), "rank {} reduces {} partial sums, its leaves make {}", rank, partials_.size(),
        nodes[rank].size());
  std::vector<at::Tensor> sums;
  if (comm_.size() == 1) {
    for (const ArenaSlices& part : slices_) sums.push_back(partials_.front().narrow(0, part.offsets[0], part.counts[0]));
    return sums;
  }
  std::int64_t count = 0, elements = 0, begin = 0;
  for (const auto& of_rank : nodes) count += static_cast<std::int64_t>(of_rank.size());
  for (const ArenaSlices& part : slices_) elements += count * part.counts[rank];
  if (!received_.defined() || received_.numel() < elements) received_ = at::empty({elements}, at::kFloat);
  for (const ArenaSlices& part : slices_) {
    const std::int64_t own = part.counts[rank];
    reduce_part(part, nodes, span_of(received_.narrow(0, begin, count * own)));
    sums.push_back(received_.narrow(0, begin, own));
    begin += count * own;
  }
  return sums;
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
