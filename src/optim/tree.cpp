#include "optim/tree.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {

TreeCounter::TreeCounter(std::int64_t leaves) : leaves_(leaves) {
  check(leaves >= 1, "a tree of {} leaves", leaves);
  while ((std::int64_t{1} << height_) < leaves) ++height_;
}

int TreeCounter::push(TreeNode node) {
  check(next_ < 0 || node.first_leaf() == next_, "the tree expects leaf {} next, not {}", next_, node.first_leaf());
  check(!missing(node), "the tree has {} leaves, there is no leaf {}", leaves_, node.first_leaf());
  next_ = (node.index + 1) << node.level;
  int count = 0;
  while (node.level < height_) {
    const bool right = (node.index & 1) != 0;
    if (right) {
      if (nodes_.empty() || !(nodes_.back() == TreeNode{node.level, node.index - 1})) break;
      nodes_.pop_back();
      ++count;
    } else if (!missing({node.level, node.index + 1})) {
      break;
    }
    node = {node.level + 1, node.index / 2};
  }
  nodes_.push_back(node);
  return count;
}

std::vector<TreeNode> complete_nodes(std::int64_t leaves, std::int64_t first, std::int64_t last) {
  TreeCounter counter(leaves);
  for (std::int64_t leaf = first; leaf < last; ++leaf) counter.push({0, leaf});
  return counter.nodes();
}

Merge merge(std::int64_t leaves, std::span<const TreeNode> nodes) {
  TreeCounter counter(leaves);
  Merge result;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    result.left.push_back(n);
    for (int count = counter.push(nodes[n]); count > 0; --count) {
      const std::size_t from = result.left.back();
      result.left.pop_back();
      result.additions.push_back({result.left.back(), from});
    }
  }
  result.nodes = counter.nodes();
  return result;
}

std::vector<Addition> additions(std::int64_t leaves, std::span<const TreeNode> nodes) {
  Merge merged = merge(leaves, nodes);
  const bool whole = merged.nodes.size() == 1 && merged.nodes[0].index == 0 && (std::int64_t{1} << merged.nodes[0].level) >= leaves;
  check(whole, "{} nodes do not cover the tree's {} leaves", nodes.size(), leaves);
  return std::move(merged.additions);
}

std::size_t peak_values(std::int64_t leaves, std::int64_t first, std::int64_t last) {
  TreeCounter counter(leaves);
  std::size_t held = 0, peak = 0;
  for (std::int64_t leaf = first; leaf < last; ++leaf) {
    held = held + 1 - static_cast<std::size_t>(counter.push({0, leaf}));
    peak = std::max(peak, held);
  }
  return peak;
}

double tree_sum(std::span<const double> leaves) {
  if (leaves.empty()) return 0;
  TreeCounter counter(static_cast<std::int64_t>(leaves.size()));
  std::vector<double> held;
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    held.push_back(leaves[leaf]);
    for (int count = counter.push({0, static_cast<std::int64_t>(leaf)}); count > 0; --count) {
      const double right = held.back();
      held.pop_back();
      held.back() += right;
    }
  }
  return held.front();
}

}  // namespace tributary
