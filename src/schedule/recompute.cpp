#include "schedule/recompute.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

std::int64_t saved_bytes(const BlockCost& kept) { return kept.activation_bytes - recomputed(kept).activation_bytes; }

// Blocks worth recomputing, cheapest first.
std::vector<std::size_t> cheapest_first(const PartitionProblem& problem, const std::vector<bool>& possible) {
  std::vector<std::size_t> order;
  for (std::size_t b = 0; b < problem.blocks.size(); ++b)
    if (possible[b] && saved_bytes(problem.blocks[b]) > 0) order.push_back(b);
  const auto price = [&](std::size_t b) { return problem.blocks[b].forward_s / static_cast<double>(saved_bytes(problem.blocks[b])); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return price(a) < price(b); });
  return order;
}

std::vector<bool> first_of(const std::vector<std::size_t>& order, std::size_t count, std::size_t blocks) {
  std::vector<bool> marks(blocks, false);
  for (std::size_t i = 0; i < count; ++i) marks[order[i]] = true;
  return marks;
}

// Nothing where no cut keeps the limit.
std::optional<Partition> try_partition(const PartitionProblem& problem, const std::optional<Cut>& given) {
  try {
    return partition_of(problem, given);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::launch) throw;
    return std::nullopt;
  }
}

// The cut as it is, each rank with as few of the blocks as keep its limit.
std::vector<bool> fewest(const PartitionProblem& problem, const std::vector<std::size_t>& order, const Partition& partition) {
  std::vector<bool> marks(problem.blocks.size(), false);
  if (problem.memory_limit_bytes <= 0) return marks;
  for (std::size_t rank = 0; rank < partition.ranks.size(); ++rank) {
    const auto here = [&](std::size_t block) {
      return std::any_of(partition.stages.begin(), partition.stages.end(),
                         [&](const StagePrice& stage) { return stage.rank == static_cast<int>(rank) && stage.first <= block && block < stage.last; });
    };
    const auto need = [&] { return price_partition(with_recomputing(problem, marks), partition.cut).ranks[rank].total(); };
    for (const std::size_t block : order) {
      if (!here(block)) continue;
      if (need() <= problem.memory_limit_bytes) break;
      marks[block] = true;
    }
  }
  return marks;
}

}  // namespace

Partition partition_of(const PartitionProblem& problem, const std::optional<Cut>& given) {
  if (!given) return choose_partition(problem);
  Partition partition = price_partition(problem, *given);
  check_memory(problem, partition);
  return partition;
}

BlockCost recomputed(const BlockCost& kept) {
  BlockCost cost = kept;
  cost.activation_bytes = std::min(kept.activation_bytes, std::accumulate(kept.gives_bytes.begin(), kept.gives_bytes.end(), std::int64_t{0}));
  cost.transient_bytes = kept.activation_bytes - cost.activation_bytes;
  cost.backward_input_s += kept.forward_s;
  return cost;
}

PartitionProblem with_recomputing(PartitionProblem problem, const std::vector<bool>& marks) {
  check(marks.size() == problem.blocks.size(), "{} marks of recomputing for {} blocks", marks.size(), problem.blocks.size());
  for (std::size_t b = 0; b < marks.size(); ++b)
    if (marks[b]) problem.blocks[b] = recomputed(problem.blocks[b]);
  return problem;
}

StagePlan choose_recompute(const PartitionProblem& problem, const std::vector<bool>& possible, const std::optional<Cut>& given) {
  const std::size_t blocks = problem.blocks.size();
  check(possible.size() == blocks, "{} marks of recomputing for {} blocks", possible.size(), blocks);
  const std::vector<std::size_t> order = cheapest_first(problem, possible);
  std::optional<Partition> found;
  for (std::size_t count = 0; !found && count < order.size(); ++count) found = try_partition(with_recomputing(problem, first_of(order, count, blocks)), given);
  if (!found) found = partition_of(with_recomputing(problem, first_of(order, order.size(), blocks)), given);
  StagePlan plan{{}, fewest(problem, order, *found)};
  plan.partition = price_partition(with_recomputing(problem, plan.recompute), found->cut);
  plan.partition.proven = found->proven;
  return plan;
}

}  // namespace tributary
