#include "optim/norm.h"

#include <array>
#include <cmath>

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

}  // namespace

GradientStats measure_gradient(const Communicator& comm, const ArenaSlices& slices, std::span<const float> slice) {
  const auto rank = static_cast<std::size_t>(comm.rank());
  check(static_cast<std::int64_t>(slice.size()) == slices.counts[rank], "a slice of {} elements, {} expected", slice.size(), slices.counts[rank]);
  std::vector<std::int64_t> counts, offsets;
  for (std::size_t r = 0; r < slices.counts.size(); ++r) {
    counts.push_back(slices.counts[r] / arena_block);
    offsets.push_back(slices.offsets[r] / arena_block);
  }
  std::vector<double> sums(static_cast<std::size_t>(offsets.back() + counts.back()));
  for (std::int64_t b = 0; b < counts[rank]; ++b) sums[static_cast<std::size_t>(offsets[rank] + b)] = sum_of_squares(slice.data() + b * arena_block);
  comm.all_gather_in_place(std::span(sums), counts, offsets);
  GradientStats stats;
  double total = 0;
  for (std::size_t b = 0; b < sums.size(); ++b) {
    total += sums[b];
    if (!std::isfinite(sums[b])) stats.bad_blocks.push_back(static_cast<std::int64_t>(b));  // squares of finite floats cannot overflow a double
  }
  stats.norm = std::sqrt(total);
  stats.finite = stats.bad_blocks.empty();
  return stats;
}

double clip_factor(double norm, double clip_norm) { return clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0; }

}  // namespace tributary
