#include "optim/sum_plan.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {
namespace {

Merge merge_in_order(std::size_t values) {
  Merge result;
  for (std::size_t n = 1; n < values; ++n) result.additions.push_back({0, n});
  if (values > 0) result.left = {0};
  return result;
}

}  // namespace

SumPlan plan_sum(Reduction reduction, const std::vector<std::int64_t>& bounds, const TeamShape& team) {
  const std::int64_t leaves = bounds.back();
  const bool exact = reduction == Reduction::exact;
  SumPlan plan;
  plan.nodes.resize(static_cast<std::size_t>(team.nodes));
  std::vector<TreeNode> left_nodes;
  std::size_t left = 0;
  for (int node = 0; node < team.nodes; ++node) {
    SumPlan::Node& one = plan.nodes[static_cast<std::size_t>(node)];
    std::vector<TreeNode> here;
    for (int local = 0; local < team.local; ++local) {
      const int rank = node * team.local + local;
      const std::int64_t first = bounds[static_cast<std::size_t>(rank)], last = bounds[static_cast<std::size_t>(rank) + 1];
      const std::vector<TreeNode> own = complete_nodes(leaves, first, last);
      const std::size_t held = exact ? own.size() : std::min<std::size_t>(own.size(), 1);
      for (std::size_t n = 0; n < held; ++n) one.values.push_back({rank, n});
      here.insert(here.end(), own.begin(), own.end());
      plan.held.push_back(held);
      plan.buffers = std::max(plan.buffers, exact ? peak_values(leaves, first, last) : held);
    }
    Merge merged = exact ? merge(leaves, here) : merge_in_order(one.values.size());
    one.additions = std::move(merged.additions);
    one.left = std::move(merged.left);
    left += one.left.size();
    left_nodes.insert(left_nodes.end(), merged.nodes.begin(), merged.nodes.end());
  }
  plan.additions = exact ? additions(leaves, left_nodes) : merge_in_order(left).additions;
  return plan;
}

}  // namespace tributary
