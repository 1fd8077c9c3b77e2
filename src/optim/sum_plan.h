// Who adds what when the leaves of a step are summed over the ranks that hold a stage: first inside each node, then between nodes. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/team.h"
#include "optim/tree.h"

namespace tributary {

enum class Reduction {
  exact,  // through the tree: the same bits on any number of ranks
  fast    // leaves are added as they come, then ranks and nodes in their order: one partial sum each, bits depend on the number of ranks
};

// A partial sum of a rank: its number among those the rank holds.
struct PartialSum {
  int rank = 0;
  std::size_t number = 0;
  bool operator==(const PartialSum&) const = default;
};

struct SumPlan {
  struct Node {
    std::vector<PartialSum> values;   // of the node's ranks, left to right
    std::vector<Addition> additions;  // of values, by their numbers
    std::vector<std::size_t> left;    // values that go on to the sum between nodes, left to right
  };
  std::vector<std::size_t> held;  // [ranks] partial sums a rank ends with
  std::size_t buffers = 0;        // that a rank needs at most at once
  std::vector<Node> nodes;
  std::vector<Addition> additions;  // of what is left of all nodes, by their numbers side by side; the sum stands in number 0
};

// bounds: [ranks + 1] rank r owns leaves [bounds[r], bounds[r + 1]); the last bound is the number of leaves.
[[nodiscard]] SumPlan plan_sum(Reduction reduction, const std::vector<std::int64_t>& bounds, const TeamShape& team);

}  // namespace tributary
