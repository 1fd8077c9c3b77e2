#include "comm/missing_ranks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tributary {
namespace {

class MissingSearch {
 public:
  MissingSearch(const ProgressTable& table, int rank, std::chrono::milliseconds quiet)
      : table_(table), rank_(rank), quiet_ms_(quiet.count()), steps_(table.of(rank).steps.load()), now_(steady_ms()) {}

  MissingRanks result() {
    const ProgressTable::Node& own = table_.nodes()[table_.own_node()];
    for (const int rank : own.ranks)
      if (rank != rank_) judge(rank, now_, true);
    const int listener = own.ranks.front();
    if (table_.nodes().size() > 1 && listener != rank_ && now_ - table_.of(listener).beat_ms.load() > quiet_ms_) {
      lines_ += fmt::format("\n  of the other nodes nothing is known here, since rank {}, which hears of them for this node, is stopped", listener);
    } else {
      for (std::size_t node = 0; node < table_.nodes().size(); ++node)
        if (node != table_.own_node()) judge(table_.nodes()[node]);
    }
    return {fmt::format("missing ranks: stopped {}, behind {}{}.", list(stopped_), list(behind_),
                        unheard_.empty() ? "" : fmt::format(", not heard from {}", list(unheard_))),
            lines_};
  }

 private:
  // What is known of a node that tells nothing is old: its ranks may have gone on since.
  void judge(const ProgressTable::Node& node) {
    const std::int64_t heard = table_.of(node.ranks.front()).heard_ms.load(), silent = now_ - heard;
    if (silent <= quiet_ms_) {
      for (const int rank : node.ranks) judge(rank, heard, false);
      return;
    }
    unheard_.insert(unheard_.end(), node.ranks.begin(), node.ranks.end());
    lines_ += fmt::format("\n  node {} (rank {}) has not been heard from for {} s: its rank {}, the machine or the network to it stands still", node.host,
                          list(node.ranks), silent / 1000, node.ranks.front());
    for (const int rank : node.ranks) lines_ += fmt::format("\n  rank {} was then in {}", rank, table_.of(rank).where.read());
  }

  void judge(int rank, std::int64_t known_at, bool near) {
    const ProgressTable::Line& line = table_.of(rank);
    const std::int64_t silent = known_at - line.beat_ms.load();
    const bool stopped = silent > quiet_ms_, behind = !stopped && line.steps.load() < steps_;
    if (stopped) stopped_.push_back(rank);
    if (behind) behind_.push_back(rank);
    if (!near && !stopped && !behind) return;
    lines_ += fmt::format("\n  rank {} is in {}{}", rank, line.where.read(),
                          stopped  ? fmt::format(", no sign of life for {} s", (now_ - known_at + silent) / 1000)
                          : behind ? ", behind"
                                   : "");
  }

  static std::string list(const std::vector<int>& ranks) { return ranks.empty() ? "none" : fmt::format("{}", fmt::join(ranks, " ")); }

  const ProgressTable& table_;
  int rank_;
  std::int64_t quiet_ms_, steps_, now_;
  std::vector<int> stopped_, behind_, unheard_;
  std::string lines_;
};

}  // namespace

MissingRanks missing_ranks(const ProgressTable& table, int rank, std::chrono::milliseconds quiet) { return MissingSearch(table, rank, quiet).result(); }

}  // namespace tributary
