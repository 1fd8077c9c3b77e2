// The one tree by which a step's leaves are summed: node (j, k) = (j-1, 2k) + (j-1, 2k+1), leaves at j = 0; a missing right child passes the left one on
// unchanged. Pure; the tree depends on the number of leaves alone, so a sum has the same bits however leaves are dealt to ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tributary {

struct TreeNode {
  int level = 0;
  std::int64_t index = 0;
  bool operator==(const TreeNode&) const = default;
  [[nodiscard]] std::int64_t first_leaf() const { return index << level; }
};

// A binary counter: takes nodes from left to right and says which neighbours can be added already.
class TreeCounter {
 public:
  explicit TreeCounter(std::int64_t leaves);  // of the whole tree

  // Takes the next node. Returns how often the caller adds its two topmost values (left + right, both replaced by the sum).
  int push(TreeNode node);

  // Nodes whose values the caller holds, left to right; at most 2 log2(leaves).
  [[nodiscard]] const std::vector<TreeNode>& nodes() const { return nodes_; }

 private:
  [[nodiscard]] bool missing(TreeNode node) const { return node.first_leaf() >= leaves_; }
  std::int64_t leaves_;
  int height_ = 0;
  std::int64_t next_ = -1;  // leaf at which the next node must begin; -1 before the first
  std::vector<TreeNode> nodes_;
};

// The largest nodes that lie in leaves [first, last), left to right: what a rank that owns this range can add by itself.
[[nodiscard]] std::vector<TreeNode> complete_nodes(std::int64_t leaves, std::int64_t first, std::int64_t last);

struct Addition {  // values[into] += values[from]
  std::size_t into = 0;
  std::size_t from = 0;
  bool operator==(const Addition&) const = default;
};

// What becomes of the values of neighbouring nodes when all that can be added is added.
struct Merge {
  std::vector<Addition> additions;  // in this order
  std::vector<std::size_t> left;    // values that are left, left to right
  std::vector<TreeNode> nodes;      // and the nodes they are
};
// nodes: left to right, without a gap.
[[nodiscard]] Merge merge(std::int64_t leaves, std::span<const TreeNode> nodes);

// The additions that turn the values of `nodes` (left to right, covering all leaves) into the sum, which ends in value 0.
[[nodiscard]] std::vector<Addition> additions(std::int64_t leaves, std::span<const TreeNode> nodes);

// Values that a rank holds at most at once while it takes leaves [first, last) in order, each added to its left neighbour where the tree allows it at once.
[[nodiscard]] std::size_t peak_values(std::int64_t leaves, std::int64_t first, std::int64_t last);

// The sum of all leaves' values.
[[nodiscard]] double tree_sum(std::span<const double> leaves);

}  // namespace tributary
