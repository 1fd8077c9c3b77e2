#include "schedule/list_order.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "schedule/program.h"

namespace tributary {
namespace {

enum Way { forward, backward };

int ranks_of(const std::vector<int>& rank_of_stage) { return rank_of_stage.empty() ? 0 : *std::max_element(rank_of_stage.begin(), rank_of_stage.end()) + 1; }

// Leaves of a stage between forward and backward. Equal for all but the last p stages: what a stage sends there can always be taken, so no message holds up
// those behind it; of the last p stages a rank has one.
std::int64_t window(const std::vector<int>& rank_of_stage, std::size_t stage) {
  return std::min<std::int64_t>(ranks_of(rank_of_stage), static_cast<std::int64_t>(rank_of_stage.size() - stage));
}

class ListOrder {
 public:
  ListOrder(const std::vector<int>& rank_of_stage, std::int64_t leaves, std::int64_t most)
      : rank_of_stage_(rank_of_stage), leaves_(leaves), stages_(rank_of_stage.size()), ranks_(static_cast<std::size_t>(ranks_of(rank_of_stage))) {
    channels_.resize(2 * ranks_.size() * ranks_.size());
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      stages_[s].window = std::min(most, window(rank_of_stage, s));
      ranks_[owner(s)].stages.push_back(s);
    }
  }

  // Nothing where the ranks come to a stand.
  std::optional<std::vector<Schedule>> run() {
    const std::int64_t total = 2 * static_cast<std::int64_t>(stages_.size()) * leaves_;
    for (std::int64_t done = 0, idle = 0; done < total; ++now_) {
      const std::int64_t before = done;
      for (Rank& rank : ranks_)
        if (rank.free_at <= now_ && begin_best(rank)) ++done;
      idle = done > before ? 0 : idle + 1;
      if (idle > units(backward)) return std::nullopt;
    }
    std::vector<Schedule> schedules;
    for (Rank& rank : ranks_) schedules.push_back(std::move(rank.schedule));
    return schedules;
  }

 private:
  struct Stage {
    std::int64_t window = 0;
    std::array<std::vector<std::int64_t>, 2> ends;  // [way][leaf], of those begun
    [[nodiscard]] std::int64_t begun(Way way) const { return static_cast<std::int64_t>(ends[way].size()); }
  };
  struct Rank {
    std::vector<std::size_t> stages;
    std::int64_t free_at = 0;
    Schedule schedule;
  };
  struct Channel {
    std::vector<std::size_t> to_stages;  // of the messages, in the order of the sends
    std::size_t taken = 0;
  };

  static std::int64_t units(Way way) { return way == forward ? 1 : 2; }
  [[nodiscard]] std::size_t owner(std::size_t stage) const { return static_cast<std::size_t>(rank_of_stage_[stage]); }
  Channel& channel(std::size_t from, std::size_t to, Way way) { return channels_[(owner(from) * ranks_.size() + owner(to)) * 2 + way]; }
  // The stage whose result this one takes, and the one that takes its result.
  [[nodiscard]] std::optional<std::size_t> neighbour(std::size_t stage, bool upward) const {
    if (upward ? stage + 1 == stages_.size() : stage == 0) return std::nullopt;
    return upward ? stage + 1 : stage - 1;
  }

  [[nodiscard]] bool over(std::size_t stage, Way way, std::int64_t leaf) const {
    return leaf < stages_[stage].begun(way) && stages_[stage].ends[way][static_cast<std::size_t>(leaf)] <= now_;
  }

  // Whether the stage can begin its next leaf.
  [[nodiscard]] bool ready(std::size_t stage, Way way) {
    const std::int64_t leaf = stages_[stage].begun(way);
    if (leaf == leaves_) return false;
    if (way == forward && leaf - stages_[stage].begun(backward) >= stages_[stage].window) return false;
    if (way == backward && !over(stage, forward, leaf)) return false;
    if (const auto to = neighbour(stage, way == forward); to && owner(*to) != owner(stage)) {
      const Channel& messages = channel(stage, *to, way);  // a send that has to wait would keep its rank from the backwards that others need
      if (messages.to_stages.size() - messages.taken >= static_cast<std::size_t>(receives_ahead)) return false;
    }
    const auto from = neighbour(stage, way == backward);
    if (!from) return true;
    if (!over(*from, way, leaf)) return false;
    const Channel& messages = channel(*from, stage, way);
    return owner(*from) == owner(stage) || messages.to_stages[messages.taken] == stage;
  }

  // Backwards before forwards, small leaves before large ones, of one leaf the stage nearer to the loss.
  bool begin_best(Rank& rank) {
    for (const Way way : {backward, forward}) {
      std::optional<std::size_t> best;
      for (const std::size_t stage : rank.stages)
        if (ready(stage, way) && (!best || stages_[stage].begun(way) <= stages_[*best].begun(way))) best = stage;
      if (!best) continue;
      begin(rank, *best, way);
      return true;
    }
    return false;
  }

  void begin(Rank& rank, std::size_t stage, Way way) {
    rank.schedule.push_back({way == forward ? ActionKind::forward : ActionKind::backward, stages_[stage].begun(way), static_cast<int>(stage)});
    rank.free_at = now_ + units(way);
    stages_[stage].ends[way].push_back(rank.free_at);
    const auto from = neighbour(stage, way == backward);
    const auto to = neighbour(stage, way == forward);
    if (from && owner(*from) != owner(stage)) ++channel(*from, stage, way).taken;
    if (to && owner(*to) != owner(stage)) channel(stage, *to, way).to_stages.push_back(*to);
  }

  const std::vector<int>& rank_of_stage_;
  std::int64_t leaves_;
  std::int64_t now_ = 0;
  std::vector<Stage> stages_;
  std::vector<Rank> ranks_;
  std::vector<Channel> channels_;  // [from, to, way]
};

}  // namespace

std::vector<Schedule> one_by_one(const std::vector<int>& rank_of_stage, std::int64_t leaves) {
  // Stages placed in turns never come to a stand at the first attempt (tested); with one leaf under way none can.
  for (std::int64_t most = ranks_of(rank_of_stage); most >= 1; most /= 2)
    if (auto schedules = ListOrder(rank_of_stage, leaves, most).run()) return *std::move(schedules);
  fail(ErrorKind::internal, "no order of {} leaves over {} stages", leaves, rank_of_stage.size());
}

std::int64_t one_by_one_live(const std::vector<int>& rank_of_stage, std::int64_t leaves, int rank) {
  std::int64_t live = 0;
  for (std::size_t stage = 0; stage < rank_of_stage.size(); ++stage)
    if (rank_of_stage[stage] == rank) live += std::min(leaves, window(rank_of_stage, stage));
  return live;
}

}  // namespace tributary
