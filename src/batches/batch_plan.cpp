#include "batches/batch_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/key.h"
#include "batches/entity_tensors.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

// floor(index * count / shares) without overflow of the product; index <= shares.
std::int64_t share(std::int64_t index, std::int64_t count, std::int64_t shares) { return index * (count / shares) + index * (count % shares) / shares; }

// The sequence of an epoch: which row stands at a position.
class EpochOrder {
 public:
  EpochOrder(const RecordIndex& index, const std::vector<std::int64_t>& full_blocks, const std::vector<std::int64_t>& tail_rows, std::uint64_t seed,
             std::int64_t epoch)
      : index_(index),
        full_blocks_(full_blocks),
        tail_rows_(tail_rows),
        chunk_rows_(index.chunk_rows()),
        full_rows_(full_blocks.back() * chunk_rows_),
        rows_(full_rows_ + tail_rows.back()),
        blocks_(derive_key(Draw::block_order, {seed, static_cast<std::uint64_t>(epoch)}), static_cast<std::uint64_t>(full_blocks.back())),
        offset_(static_cast<std::int64_t>(uniform(derive_key(Draw::epoch_offset, {seed, static_cast<std::uint64_t>(epoch)}), 0) * static_cast<double>(rows_))) {
  }

  [[nodiscard]] RecordPlace at(std::int64_t position) const {
    const std::int64_t rotated = (position + offset_) % rows_;
    if (rotated < full_rows_) {
      const auto block = static_cast<std::int64_t>(blocks_(static_cast<std::uint64_t>(rotated / chunk_rows_)));
      const auto part = part_holding(full_blocks_, block);
      return place(part, (block - full_blocks_[part]) * chunk_rows_ + rotated % chunk_rows_);
    }
    const auto part = part_holding(tail_rows_, rotated - full_rows_);
    return place(part, (full_blocks_[part + 1] - full_blocks_[part]) * chunk_rows_ + rotated - full_rows_ - tail_rows_[part]);
  }

 private:
  [[nodiscard]] static std::size_t part_holding(const std::vector<std::int64_t>& before, std::int64_t item) {
    return static_cast<std::size_t>(std::upper_bound(before.begin(), before.end(), item) - before.begin()) - 1;
  }
  [[nodiscard]] RecordPlace place(std::size_t part, std::int64_t row) const {
    return {static_cast<std::int32_t>(part), index_.first_row(static_cast<int>(part), Split::train) + row};
  }

  const RecordIndex& index_;
  const std::vector<std::int64_t>& full_blocks_;
  const std::vector<std::int64_t>& tail_rows_;
  std::int64_t chunk_rows_;
  std::int64_t full_rows_;
  std::int64_t rows_;
  Permutation blocks_;
  std::int64_t offset_;
};

}  // namespace

LeafRange leaves_of_rank(std::int64_t leaves, int ranks, int rank) { return {share(rank, leaves, ranks), share(rank + 1, leaves, ranks)}; }

void check_batch_sizes(std::int64_t global_batch, std::int64_t micro_batch) {
  if (micro_batch < 1 || global_batch < 1 || global_batch % micro_batch != 0)
    fail(ErrorKind::configuration, "train.global_batch = {} must be a multiple of train.micro_batch = {}", global_batch, micro_batch);
}

BatchPlan::BatchPlan(const RecordIndex& index, const std::vector<Task>& tasks, const PlanOptions& options) : index_(index), tasks_(tasks), options_(options) {
  check_batch_sizes(options.global_batch, options.micro_batch);
  if (options.token_budget < 0) fail(ErrorKind::configuration, "train.micro_batch_tokens = {}; at least 0", options.token_budget);
  if (options.window_blocks < 1) fail(ErrorKind::configuration, "data.window_blocks = {}; at least 1", options.window_blocks);
  const std::int64_t chunk_rows = index.chunk_rows();
  check(chunk_rows >= 1, "BatchPlan: chunk_rows {}", chunk_rows);
  full_blocks_.push_back(0);
  tail_rows_.push_back(0);
  for (int part = 0; part < index.parts(); ++part) {
    const std::int64_t rows = index.rows(part, Split::train);
    full_blocks_.push_back(full_blocks_.back() + rows / chunk_rows);
    tail_rows_.push_back(tail_rows_.back() + rows % chunk_rows);
    rows_ += rows;
  }
}

std::int64_t BatchPlan::lane_begin(std::int64_t lane) const { return share(lane, rows_, lanes()); }

std::int64_t BatchPlan::steps_per_epoch() const {
  const std::int64_t longest_lane = (rows_ + lanes() - 1) / lanes();
  return (longest_lane + options_.micro_batch - 1) / options_.micro_batch;
}

std::vector<BatchPlan::LaneLeaf> BatchPlan::leaves_of_step(std::int64_t step_of_epoch) const {
  const std::int64_t position = step_of_epoch * options_.micro_batch;
  std::vector<LaneLeaf> leaves;
  for (std::int64_t lane = 0; lane < lanes(); ++lane) {
    const std::int64_t rows = std::min(options_.micro_batch, lane_rows(lane) - position);
    if (rows > 0) leaves.push_back({lane, position, rows});
  }
  return leaves;
}

BatchPlan::LaneLeaf BatchPlan::leaf_of_step(std::int64_t step_of_epoch, std::int64_t leaf) const {
  check(leaf >= 0 && leaf < lanes(), "BatchPlan: leaf {} of at most {}", leaf, lanes());
  if (step_of_epoch + 1 < steps_per_epoch()) return {leaf, step_of_epoch * options_.micro_batch, options_.micro_batch};
  const auto leaves = leaves_of_step(step_of_epoch);
  check(leaf < static_cast<std::int64_t>(leaves.size()), "BatchPlan: leaf {} of {}", leaf, leaves.size());
  return leaves[static_cast<std::size_t>(leaf)];
}

void BatchPlan::append_rows(std::int64_t epoch, const LaneLeaf& leaf, LeafPlan& plan) const {
  const EpochOrder order(index_, full_blocks_, tail_rows_, options_.seed, epoch);
  const std::int64_t begin = lane_begin(leaf.lane), lane_size = lane_rows(leaf.lane);
  const std::int64_t last = leaf.position + leaf.rows;
  for (std::int64_t position = leaf.position; position < last;) {
    const std::int64_t window = position / window_rows(), first = window * window_rows();
    const std::int64_t size = std::min(window_rows(), lane_size - first);
    const Permutation shuffle(derive_key(Draw::row_order, {options_.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(leaf.lane),
                                                           static_cast<std::uint64_t>(window)}),
                              static_cast<std::uint64_t>(size));
    for (; position < std::min(last, first + size); ++position) {
      plan.rows.push_back(order.at(begin + first + static_cast<std::int64_t>(shuffle(static_cast<std::uint64_t>(position - first)))));
      plan.origins.push_back({leaf.lane, position});
    }
  }
}

void BatchPlan::count_labels(const RecordPlace& place, std::vector<std::int64_t>& counts) const {
  const std::uint64_t valid = index_.at(place).labels_valid;
  std::size_t relation = 0;
  for (std::size_t task = 0; task < tasks_.size(); ++task) {
    if (!is_stored(tasks_[task].kind)) continue;
    const bool pairs = tasks_[task].kind == TaskKind::relation, counted = (valid >> task & 1U) != 0;
    if (pairs && counted) counts[task] += index_.pairs(place, relation).related + sampled_negatives(index_.pairs(place, relation), options_.negatives);
    if (!pairs && counted) counts[task] += tasks_[task].label_width();
    relation += pairs ? 1 : 0;
  }
}

LeafPlan BatchPlan::rows_of_step(std::int64_t step) const {
  check(step >= 0, "BatchPlan: step {}", step);
  LeafPlan all{0, step / steps_per_epoch(), {}, {}};
  for (const LaneLeaf& leaf : leaves_of_step(step % steps_per_epoch())) append_rows(all.epoch, leaf, all);
  return all;
}

std::int64_t BatchPlan::tokens_of(const RecordPlace& place) const {
  const IndexRow& row = index_.at(place);
  if (!options_.marked_pairs) return encoder_tokens(row, options_.token_rules);
  std::vector<std::int64_t> labels(tasks_.size(), 0);
  count_labels(place, labels);
  return marked_pair_tokens(row, index_.entities(place), labels[*options_.marked_pairs], options_.token_rules);
}

std::vector<std::vector<std::size_t>> BatchPlan::packed(const LeafPlan& rows) const {
  std::vector<std::int64_t> tokens;
  for (const RecordPlace& place : rows.rows) tokens.push_back(tokens_of(place));
  return pack_by_tokens(tokens, options_.token_budget);
}

StepPlan BatchPlan::step(std::int64_t step) const {
  const LeafPlan all = rows_of_step(step);
  StepPlan plan;
  plan.step = step;
  plan.epoch = all.epoch;
  plan.leaves = static_cast<std::int64_t>(options_.token_budget > 0 ? packed(all).size() : leaves_of_step(step % steps_per_epoch()).size());
  plan.label_counts.assign(tasks_.size(), 0);
  plan.records = static_cast<std::int64_t>(all.rows.size());
  for (const RecordPlace& place : all.rows) count_labels(place, plan.label_counts);
  return plan;
}

LeafPlan BatchPlan::lane_leaf(std::int64_t step, std::int64_t leaf) const {
  check(step >= 0, "BatchPlan: step {}", step);
  LeafPlan plan{leaf, step / steps_per_epoch(), {}, {}};
  append_rows(plan.epoch, leaf_of_step(step % steps_per_epoch(), leaf), plan);
  return plan;
}

LeafPlan BatchPlan::leaf(std::int64_t step, std::int64_t leaf) const { return leaves(step, {leaf, leaf + 1}).front(); }

std::vector<LeafPlan> BatchPlan::leaves(std::int64_t step, LeafRange range) const {
  std::vector<LeafPlan> plans;
  if (options_.token_budget == 0) {
    for (std::int64_t leaf = range.first; leaf < range.last; ++leaf) plans.push_back(lane_leaf(step, leaf));
    return plans;
  }
  const LeafPlan all = rows_of_step(step);
  const std::vector<std::vector<std::size_t>> groups = packed(all);
  check(range.first >= 0 && range.last <= static_cast<std::int64_t>(groups.size()), "BatchPlan: leaves [{}, {}) of {}", range.first, range.last, groups.size());
  for (std::int64_t leaf = range.first; leaf < range.last; ++leaf) {
    LeafPlan& plan = plans.emplace_back(LeafPlan{leaf, all.epoch, {}, {}});
    for (const std::size_t item : groups[static_cast<std::size_t>(leaf)]) {
      plan.rows.push_back(all.rows[item]);
      plan.origins.push_back(all.origins[item]);
    }
  }
  return plans;
}

std::int64_t BatchPlan::evaluation_leaves(Split split) const { return (index_.rows(split) + options_.micro_batch - 1) / options_.micro_batch; }

LeafPlan BatchPlan::evaluation_leaf(Split split, std::int64_t leaf) const {
  check(leaf >= 0 && leaf < evaluation_leaves(split), "BatchPlan: evaluation leaf {} of {}", leaf, evaluation_leaves(split));
  LeafPlan plan;
  plan.leaf = leaf;
  const std::int64_t first = leaf * options_.micro_batch;
  std::int64_t skip = first, wanted = std::min(options_.micro_batch, index_.rows(split) - first);
  for (int part = 0; part < index_.parts() && wanted > 0; ++part) {
    const std::int64_t rows = index_.rows(part, split);
    for (std::int64_t row = std::min(skip, rows); row < rows && wanted > 0; ++row, --wanted) plan.rows.push_back({part, index_.first_row(part, split) + row});
    skip -= std::min(skip, rows);
  }
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(plan.rows.size()); ++i) plan.origins.push_back({0, first + i});
  return plan;
}

}  // namespace tributary
