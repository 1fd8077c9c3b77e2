#include "schedule/cut_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

namespace tributary {
namespace {

constexpr std::int64_t nowhere = std::numeric_limits<std::int64_t>::max();

// Stages are placed from the first to the last. Before, from the last to the first, each state (stage, first block) gets exact bounds on what can still follow.
class CutSearch {
 public:
  CutSearch(const StageCosts& costs, const CutLimits& limits)
      : costs_(costs),
        limits_(limits),
        blocks_(costs.blocks()),
        stages_(costs.stages()),
        coupled_(costs.several_chunks() && limits.rank_bytes != nowhere),
        bounds_(coupled_ ? static_cast<std::size_t>(costs.ranks()) + 1 : 0),
        open_((stages_ + 1) * (blocks_ + 1), false),
        least_(open_.size() * bounds_, 0),
        used_(static_cast<std::size_t>(costs.ranks()), 0) {
    fill_bounds();
  }

  CutAnswer run() {
    if (open_[at(0, 0)] && fits(0, 0) && walk(0, 0)) return {cut_, true};
    return {std::nullopt, !gave_up_};
  }

 private:
  [[nodiscard]] std::size_t at(std::size_t stage, std::size_t block) const { return stage * (blocks_ + 1) + block; }

  // Calls visit(last) for every end of a stage beginning at `first` that keeps the limits and from which the stages behind can.
  template <class Visit>
  void each_end(std::size_t stage, std::size_t first, const Visit& visit) const {
    const std::size_t behind = stages_ - stage - 1;
    for (std::size_t last = behind == 0 ? blocks_ : first + 1; last + behind <= blocks_; ++last) {
      if (costs_.work_s(first, last) > limits_.stage_s || costs_.stage_bytes(stage, first, last) > limits_.rank_bytes) return;  // more blocks: no less
      if (open_[at(stage + 1, last)] && costs_.stage_s(stage, first, last) <= limits_.stage_s) visit(last);
    }
  }

  void fill_bounds() {
    open_[at(stages_, blocks_)] = true;
    for (std::size_t stage = stages_; stage-- > 0;)
      for (std::size_t first = stage; first + (stages_ - stage) <= blocks_; ++first) {
        bool open = false;
        std::int64_t* least = bounds_ == 0 ? nullptr : &least_[at(stage, first) * bounds_];
        std::fill(least, least + bounds_, nowhere);
        each_end(stage, first, [&](std::size_t last) {
          open = true;
          lower(stage, first, last, least);
        });
        open_[at(stage, first)] = open;
      }
  }

  // least: for each rank by itself the least that its stages from this one on can need together, then the same for all ranks together.
  void lower(std::size_t stage, std::size_t first, std::size_t last, std::int64_t* least) const {
    if (bounds_ == 0) return;
    const std::int64_t own = costs_.stage_bytes(stage, first, last);
    const std::int64_t* behind = &least_[at(stage + 1, last) * bounds_];
    const auto rank = static_cast<std::size_t>(costs_.rank(stage));
    for (std::size_t bound = 0; bound < bounds_; ++bound)
      least[bound] = std::min(least[bound], behind[bound] + (bound == rank || bound + 1 == bounds_ ? own : 0));
  }

  [[nodiscard]] bool fits(std::size_t stage, std::size_t first) const {
    if (!coupled_) return true;
    const std::int64_t* least = &least_[at(stage, first) * bounds_];
    std::int64_t room = 0;
    for (std::size_t rank = 0; rank < used_.size(); ++rank) {
      if (used_[rank] + least[rank] > limits_.rank_bytes) return false;
      room += limits_.rank_bytes - used_[rank];
    }
    return least[bounds_ - 1] <= room;
  }

  // The mean time of the stages from this one on; blocks that are longer by themselves are stages of their own and leave the mean.
  [[nodiscard]] double even_share(std::size_t stage, std::size_t first) const {
    const std::size_t stages = stages_ - stage;
    double share = costs_.work_s(first, blocks_) / static_cast<double>(stages);
    for (std::size_t known = 0;;) {
      std::size_t longer = 0;
      double rest = 0;
      for (std::size_t block = first; block < blocks_; ++block) {
        const double work = costs_.work_s(block, block + 1);
        if (work > share)
          ++longer;
        else
          rest += work;
      }
      if (longer == known || longer >= stages) return share;
      known = longer;
      share = rest / static_cast<double>(stages - longer);
    }
  }

  // Ends of a stage, the one nearest to an even share first.
  [[nodiscard]] std::vector<std::size_t> ends(std::size_t stage, std::size_t first) const {
    const double share = even_share(stage, first);
    std::vector<std::pair<double, std::size_t>> order;
    each_end(stage, first, [&](std::size_t last) { order.emplace_back(std::abs(costs_.work_s(first, last) - share), last); });
    std::sort(order.begin(), order.end());
    std::vector<std::size_t> result;
    for (const auto& [distance, last] : order) result.push_back(last);
    return result;
  }

  // Completes the cut from `first` on. With one chunk a rank the first end is always right: the state behind it is open.
  bool walk(std::size_t stage, std::size_t first) {
    if (stage == stages_) return true;
    if (coupled_ && (failed_.contains(state(stage, first)) || exhausted())) return false;
    const auto rank = static_cast<std::size_t>(costs_.rank(stage));
    cut_.push_back(first);
    for (const std::size_t last : ends(stage, first)) {
      const std::int64_t own = costs_.stage_bytes(stage, first, last);
      used_[rank] += own;
      if (fits(stage + 1, last) && walk(stage + 1, last)) return true;
      used_[rank] -= own;
      if (gave_up_) break;
    }
    cut_.pop_back();
    if (coupled_ && !gave_up_) failed_.insert(state(stage, first));
    return false;
  }

  bool exhausted() {
    gave_up_ = gave_up_ || ++steps_ > costs_.search_steps();
    return gave_up_;
  }

  // What decides whether a cut can be completed.
  [[nodiscard]] std::vector<std::int64_t> state(std::size_t stage, std::size_t first) const {
    std::vector<std::int64_t> result = used_;
    result.push_back(static_cast<std::int64_t>(at(stage, first)));
    return result;
  }

  const StageCosts& costs_;
  const CutLimits& limits_;
  std::size_t blocks_, stages_;
  bool coupled_;                     // a rank's stages share its memory
  std::size_t bounds_;               // of each state
  std::vector<bool> open_;           // [stages + 1, blocks + 1] the stages from here on can be placed, were each alone on its rank
  std::vector<std::int64_t> least_;  // [stages + 1, blocks + 1, bounds]
  std::vector<std::int64_t> used_;   // [ranks] by the stages placed so far
  Cut cut_;
  std::set<std::vector<std::int64_t>> failed_;
  std::int64_t steps_ = 0;
  bool gave_up_ = false;
};

// All times that a stage can take, ascending; among them those of stages that no cut has.
std::vector<double> stage_times(const StageCosts& costs) {
  std::vector<double> times;
  const std::size_t blocks = costs.blocks();
  for (std::size_t first = 0; first < blocks; ++first)
    for (std::size_t last = first + 1; last <= blocks; ++last)
      for (const bool from_left : {false, true})
        for (const bool to_right : {false, true}) times.push_back(costs.time_s(first, last, from_left, to_right));
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  return times;
}

std::size_t end_of(const StageCosts& costs, const Cut& cut, std::size_t stage) { return stage + 1 < cut.size() ? cut[stage + 1] : costs.blocks(); }

}  // namespace

double slowest_s(const StageCosts& costs, const Cut& cut) {
  double slowest = 0;
  for (std::size_t s = 0; s < cut.size(); ++s) slowest = std::max(slowest, costs.stage_s(s, cut[s], end_of(costs, cut, s)));
  return slowest;
}

std::int64_t most_bytes(const StageCosts& costs, const Cut& cut) {
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(costs.ranks()), 0);
  for (std::size_t s = 0; s < cut.size(); ++s) ranks[static_cast<std::size_t>(costs.rank(s))] += costs.stage_bytes(s, cut[s], end_of(costs, cut, s));
  return *std::max_element(ranks.begin(), ranks.end());
}

CutAnswer find_cut(const StageCosts& costs, const CutLimits& limits) { return CutSearch(costs, limits).run(); }

CutAnswer fastest_cut(const StageCosts& costs, std::int64_t rank_bytes) {
  CutAnswer best = find_cut(costs, {.rank_bytes = rank_bytes});
  if (!best.cut) return best;
  const std::vector<double> times = stage_times(costs);
  const auto index = [&](const Cut& cut) { return std::lower_bound(times.begin(), times.end(), slowest_s(costs, cut)) - times.begin(); };
  auto too_fast = std::ptrdiff_t{-1}, enough = index(*best.cut);
  while (too_fast + 1 < enough) {
    const auto middle = std::midpoint(too_fast, enough);
    const CutAnswer answer = find_cut(costs, {times[static_cast<std::size_t>(middle)], rank_bytes});
    best.proven = best.proven && answer.proven;
    if (answer.cut) {
      best.cut = answer.cut;  // first in order among more cuts than those of its own slowest stage: first among these too
      enough = index(*answer.cut);
    } else {
      too_fast = middle;
    }
  }
  return best;
}

CutAnswer smallest_cut(const StageCosts& costs, std::int64_t too_little) {
  CutAnswer best = find_cut(costs, {});
  if (!best.cut) return best;
  std::int64_t enough = most_bytes(costs, *best.cut);
  while (too_little + 1 + enough / 1024 < enough) {
    const std::int64_t middle = std::midpoint(too_little, enough);
    const CutAnswer answer = find_cut(costs, {.rank_bytes = middle});
    best.proven = best.proven && answer.proven;
    if (answer.cut) {
      best.cut = answer.cut;
      enough = most_bytes(costs, *answer.cut);
    } else {
      too_little = middle;
    }
  }
  return best;
}

}  // namespace tributary
