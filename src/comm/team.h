// How the ranks of a communicator stand on nodes, where equally many of them, next to each other, share each node's memory.
#pragma once

#include <optional>
#include <span>

#include "comm/communicator.h"

namespace tributary {

struct TeamShape {
  int nodes = 1;
  int local = 1;  // ranks a node; rank r stands on node r / local
  [[nodiscard]] int node_of(int rank) const { return rank / local; }
  [[nodiscard]] int local_of(int rank) const { return rank % local; }
  bool operator==(const TeamShape&) const = default;
};

// Pure. node_of_rank[r] names the node of rank r. Nothing unless every node has the same number of ranks and they are neighbours.
[[nodiscard]] std::optional<TeamShape> team_shape(std::span<const int> node_of_rank);

// Owns: communicators of the ranks beside this one.
struct Team {
  Team(const Communicator& all, const TeamShape& shape);  // Collective: all ranks of `all`

  TeamShape shape;
  Communicator local;   // those on this node, by number on it
  Communicator across;  // those of the same number on every node, by node
  [[nodiscard]] bool leads() const { return local.rank() == 0; }
};

}  // namespace tributary
