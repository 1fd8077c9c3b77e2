#include "optim/gradient_tree.h"

#include <span>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// The rows of a sparse gradient are distinct: each is added once, whatever the order.
void add_rows(const at::Tensor& sum, const at::Tensor& gradient) {
  check(gradient.is_coalesced(), "a sparse gradient has rows that are not added up: a table was looked up twice in one block");
  sum.view(gradient.sizes()).index_add_(0, gradient._indices().select(0, 0), gradient._values());
}

// Becomes the gradient; an undefined one is zero. A row that was added up from +0 is never -0, so a sparse one gives the bits of its dense twin.
void set_to(at::Tensor sum, const at::Tensor& gradient) {
  if (gradient.defined() && !gradient.is_sparse()) {
    sum.view(gradient.sizes()).copy_(gradient);
  } else {
    sum.zero_();
    if (gradient.defined()) add_rows(sum, gradient);
  }
}

void add_to_sum(at::Tensor sum, const at::Tensor& gradient) {
  if (!gradient.defined()) {
    sum.add_(0);  // turns -0 into 0, as the gradient of another grid's leaf would
  } else if (gradient.is_sparse()) {
    add_rows(sum, gradient);
  } else {
    sum.view(gradient.sizes()).add_(gradient);
  }
}

}  // namespace

GradientTree::GradientTree(const StageLayout& stage, SliceExchange& exchange, std::vector<Bucket> buckets, Reduction reduction)
    : stage_(stage), exchange_(exchange), buckets_(std::move(buckets)), reduction_(reduction) {}

void GradientTree::start(std::int64_t leaves, std::int64_t first, std::int64_t last) {
  counter_ = std::make_unique<TreeCounter>(leaves);
  held_.clear();
  next_ = first;
  last_ = last;
  inside_ = false;
  ready_ = 0;
  if (first == last) exchange_.ready(buckets_.size());
}

void GradientTree::begin(std::int64_t leaf) {
  check(counter_ != nullptr && leaf == next_ && leaf < last_, "leaf {} is not the next one of this rank, {} of {}", leaf, next_, last_);
  const int due = counter_->push({0, leaf});
  due_ = reduction_ == Reduction::exact ? due : static_cast<int>(held_.size());
  if (due_ == 0) held_.push_back(exchange_.partial(held_.size()));
  inside_ = true;
}

void GradientTree::add_use(const ParameterUse& use, const at::Tensor& gradient) {
  const std::int64_t count = stage_.parameters.entries[use.entry].spec.count();
  const auto part = [&](std::size_t below) { return held_[held_.size() - 1 - below].narrow(0, use.gradient, count); };
  const at::Tensor sum = part(0);
  if (due_ == 0) {
    set_to(sum, gradient);
    return;
  }
  add_to_sum(sum, gradient);
  for (std::size_t pair = 0; pair + 1 < static_cast<std::size_t>(due_); ++pair) part(pair + 1).add_(part(pair));
}

void GradientTree::add(std::int64_t leaf, std::size_t block, const std::vector<at::Tensor>& gradients) {
  if (!inside_) begin(leaf);
  const std::vector<ParameterUse>& uses = stage_.uses.at(block);
  check(leaf == next_ && gradients.size() == uses.size(), "{} gradients of leaf {} for {} parameters, leaf {} is open", gradients.size(), leaf, uses.size(),
        next_);
  for (std::size_t p = 0; p < uses.size(); ++p)
    if (uses[p].gradient >= 0) add_use(uses[p], gradients[p]);
  const bool last = leaf + 1 == last_;
  if (block == 0) {
    for (int pair = 1; pair < due_; ++pair) held_.pop_back();
    inside_ = false;
    ++next_;
  }
  if (!last) return;
  while (ready_ < buckets_.size() && block <= buckets_[ready_].last_block) ++ready_;
  exchange_.ready(ready_);
}

void GradientTree::check_finished() const { check(!inside_ && next_ == last_, "leaf {} of {} was not finished", next_, last_); }

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
