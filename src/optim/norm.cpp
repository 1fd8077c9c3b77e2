#include "optim/norm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/error.h"

namespace tributary {
namespace {

double sum_of_squares(const float* values) {
  std::array<double, 8> lanes{};  // a fixed order of addition that still vectorises
  for (std::int64_t i = 0; i < arena_block; i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const double value = values[i + static_cast<std::int64_t>(lane)];
      lanes[lane] += value * value;
    }
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// Halves are added elementwise: a library's own sum over a row goes in an order that depends on the number of rows.
at::Tensor squares_by_halves(const at::Tensor& slice) {
  at::Tensor sums = slice.view({-1, arena_block}).to(at::kDouble).square_();
  for (std::int64_t width = arena_block / 2; width > 0; width /= 2) sums = sums.narrow(1, 0, width) + sums.narrow(1, width, width);
  return sums.view({-1}).cpu();
}

}  // namespace

NormPlan plan_norm(const ModelLayout& layout, const std::vector<HeldSlices>& held, int slices) {
  NormPlan plan;
  for (const HeldSlices& rank : held) {
    plan.offsets.push_back(static_cast<std::int64_t>(plan.places.size()));
    for (const int number : rank.stages) {
      const ParameterLayout& stage = layout.stages.at(static_cast<std::size_t>(number)).parameters;
      const ArenaSlices own = slice_arena(stage.trainable, slices);
      const auto slice = static_cast<std::size_t>(rank.slice);
      const std::int64_t first = own.offsets[slice] / arena_block, last = first + own.counts[slice] / arena_block;
      for (const ParameterEntry& entry : stage.entries) {
        const std::int64_t begin = entry.offset / arena_block, end = (entry.offset + entry.padded) / arena_block;
        if (entry.offset >= stage.trainable || end <= first || begin >= last) continue;
        const std::int64_t whole = layout.whole.entries[layout.whole.find(entry.spec.name)].offset / arena_block;
        for (std::int64_t block = std::max(begin, first); block < std::min(end, last); ++block) plan.places.push_back(whole + block - begin);
      }
    }
    plan.counts.push_back(static_cast<std::int64_t>(plan.places.size()) - plan.offsets.back());
  }
  check(static_cast<std::int64_t>(plan.places.size()) * arena_block == layout.whole.trainable, "the ranks hold {} blocks, the model has {}", plan.places.size(),
        layout.whole.trainable / arena_block);
  return plan;
}

at::Tensor block_squares(const at::Tensor& slice) {
  if (!slice.device().is_cpu()) return squares_by_halves(slice);
  at::Tensor sums = at::empty({slice.numel() / arena_block}, at::kDouble);
  for (std::int64_t block = 0; block < sums.numel(); ++block)
    sums.data_ptr<double>()[block] = sum_of_squares(slice.const_data_ptr<float>() + block * arena_block);
  return sums;
}

GradientStats measure_gradient(const Communicator& comm, const NormPlan& plan, const std::vector<at::Tensor>& slices, double scale) {
  std::vector<double> gathered(plan.places.size()), sums(plan.places.size());
  const auto rank = static_cast<std::size_t>(comm.rank());
  auto next = static_cast<std::size_t>(plan.offsets[rank]);
  for (const at::Tensor& slice : slices) {
    const at::Tensor own = block_squares(slice);
    std::copy_n(own.const_data_ptr<double>(), own.numel(), gathered.begin() + static_cast<std::ptrdiff_t>(next));
    next += static_cast<std::size_t>(own.numel());
  }
  check(static_cast<std::int64_t>(next) == plan.offsets[rank] + plan.counts[rank], "slices of {} blocks, {} expected",
        static_cast<std::int64_t>(next) - plan.offsets[rank], plan.counts[rank]);
  comm.all_gather_in_place(std::span(gathered), plan.counts, plan.offsets);
  for (std::size_t b = 0; b < gathered.size(); ++b) sums[static_cast<std::size_t>(plan.places[b])] = gathered[b];
  GradientStats stats;
  double total = 0;
  for (std::size_t b = 0; b < sums.size(); ++b) {
    total += sums[b];
    if (!std::isfinite(sums[b])) stats.bad_blocks.push_back(static_cast<std::int64_t>(b));  // squares of finite floats cannot overflow a double
  }
  stats.norm = std::sqrt(total) / scale;
  stats.finite = stats.bad_blocks.empty();
  return stats;
}

double clip_factor(double norm, double clip_norm) { return clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0; }

}  // namespace tributary
