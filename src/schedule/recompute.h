// Which blocks run their forward again in backward so that every rank keeps within its memory. Pure.
#pragma once

#include <optional>
#include <vector>

#include "schedule/partition.h"

namespace tributary {

// What a block costs when its forward runs again: from forward to backward only what it gives stays, which others hold anyway; its backward takes its forward
// too, and needs the rest while it runs.
[[nodiscard]] BlockCost recomputed(const BlockCost& kept);

// problem.blocks: costs of blocks that keep what they made. The same problem with the marked ones recomputed.
[[nodiscard]] PartitionProblem with_recomputing(PartitionProblem problem, const std::vector<bool>& marks);

// The given cut, or the best one. Throws: Error{launch} where it does not keep the memory limit; as price_partition().
[[nodiscard]] Partition partition_of(const PartitionProblem& problem, const std::optional<Cut>& given);

struct StagePlan {
  Partition partition;
  std::vector<bool> recompute;  // [blocks]
};

// The least recomputing that keeps the memory limit: blocks that may be recomputed are taken cheapest first, by forward time per byte that is saved, until a
// cut (the given one, or else the best) keeps the limit; then each rank takes no more of them than it needs. None without a limit. Throws: Error{launch} when
// the limit is not kept with all of them either; as price_partition().
[[nodiscard]] StagePlan choose_recompute(const PartitionProblem& problem, const std::vector<bool>& possible, const std::optional<Cut>& given);

}  // namespace tributary
