#include "comm/team.h"

#include "base/error.h"

namespace tributary {

std::optional<TeamShape> team_shape(std::span<const int> node_of_rank) {
  const auto ranks = static_cast<int>(node_of_rank.size());
  int local = 0;
  while (local < ranks && node_of_rank[static_cast<std::size_t>(local)] == node_of_rank[0]) ++local;
  if (local == 0 || ranks % local != 0) return std::nullopt;
  for (int r = 0; r < ranks; ++r)
    for (int other = 0; other < ranks; ++other)
      if ((node_of_rank[static_cast<std::size_t>(r)] == node_of_rank[static_cast<std::size_t>(other)]) != (r / local == other / local)) return std::nullopt;
  return TeamShape{ranks / local, local};
}

Team::Team(const Communicator& all, const TeamShape& given)
    : shape(given), local(all.split(given.node_of(all.rank()), all.rank())), across(all.split(given.local_of(all.rank()), all.rank())) {
  check(shape.nodes * shape.local == all.size(), "{} nodes of {} ranks for {} ranks", shape.nodes, shape.local, all.size());
}

}  // namespace tributary
