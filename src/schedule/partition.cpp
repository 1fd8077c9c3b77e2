#include "schedule/partition.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "schedule/cut_search.h"
#include "schedule/stage_costs.h"

namespace tributary {
namespace {

constexpr const char* memory_knobs =
    "raise parallel.memory_limit, or lower the need: more ranks in parallel.pipeline, a smaller train.micro_batch, more blocks in parallel.recompute, more "
    "copies in parallel.data, which share the optimizer state";

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

StagePrice price_stage(const PartitionProblem& problem, const StageCosts& costs, std::size_t stage, std::size_t first, std::size_t last) {
  StagePrice price{.first = first, .last = last, .rank = costs.rank(stage)};
  for (std::size_t b = first; b < last; ++b) {
    price.forward_s += problem.blocks[b].forward_s;
    price.backward_input_s += problem.blocks[b].backward_input_s;
    price.backward_weight_s += problem.blocks[b].backward_weight_s;
  }
  price.send_s = costs.send_s(first, last, costs.enters(stage), costs.enters(stage + 1));
  price.total_s = costs.stage_s(stage, first, last);
  price.memory = costs.stage_memory(stage, first, last);
  return price;
}

Partition price_with(const PartitionProblem& problem, const StageCosts& costs, const Cut& cut) {
  Partition partition;
  partition.cut = cut;
  partition.ranks.resize(static_cast<std::size_t>(costs.ranks()));
  for (std::size_t s = 0; s < cut.size(); ++s) {
    const std::size_t last = s + 1 < cut.size() ? cut[s + 1] : costs.blocks();
    const StagePrice& stage = partition.stages.emplace_back(price_stage(problem, costs, s, cut[s], last));
    partition.ranks[static_cast<std::size_t>(stage.rank)] += stage.memory;
    if (s + 1 < cut.size()) partition.boundaries.push_back(costs.enters(s + 1) ? costs.boundary(last) : BoundaryPrice{});
    if (stage.total_s > partition.slowest_s) {
      partition.slowest_s = stage.total_s;
      partition.slowest_stage = static_cast<int>(s);
    }
  }
  for (const MemoryNeed& rank : partition.ranks) partition.most_bytes = std::max(partition.most_bytes, rank.total());
  return partition;
}

// proven: that no cut keeps the limit.
[[noreturn]] void refuse(const PartitionProblem& problem, const StageCosts& costs, const CutAnswer& smallest, bool proven) {
  const std::int64_t need = most_bytes(costs, *smallest.cut);
  const std::string limit = fmt::format("parallel.memory_limit is {} bytes ({:.3f} GiB) a rank", problem.memory_limit_bytes, gib(problem.memory_limit_bytes)),
                    cuts = fmt::format("{} blocks into {} stages on {} ranks", costs.blocks(), costs.stages(), costs.ranks());
  if (proven && smallest.proven)
    fail(ErrorKind::launch, "{}, the smallest need of any cut of {} is {} bytes ({:.3f} GiB): {}", limit, cuts, need, gib(need), memory_knobs);
  fail(ErrorKind::launch, "{}, {} of {} keeps it; one is known that needs {} bytes ({:.3f} GiB): {}, or set parallel.partition by hand", limit,
       proven ? "no cut" : "no cut was found that", cuts, need, gib(need), memory_knobs);
}

}  // namespace

MemoryNeed& MemoryNeed::operator+=(const MemoryNeed& other) {
  weights += other.weights;
  gradients += other.gradients;
  partial_sums += other.partial_sums;
  optimizer += other.optimizer;
  activations += other.activations;
  rounded += other.rounded;
  received += other.received;
  return *this;
}

Partition price_partition(const PartitionProblem& problem, const Cut& cut) {
  check_cut(cut, problem.graph.blocks.size());
  if (cut.size() != problem.rank_of_stage.size())
    fail(ErrorKind::configuration, "parallel.partition has {} stages, parallel.pipeline * parallel.virtual_stages makes {}", cut.size(),
         problem.rank_of_stage.size());
  return price_with(problem, StageCosts(problem), cut);
}

Partition choose_partition(const PartitionProblem& problem) {
  const StageCosts costs(problem);
  const bool limited = problem.memory_limit_bytes > 0;
  CutAnswer answer = fastest_cut(costs, limited ? problem.memory_limit_bytes : CutLimits{}.rank_bytes);
  if (!answer.cut) {
    const CutAnswer smallest = smallest_cut(costs, answer.proven ? problem.memory_limit_bytes : 0);
    if (most_bytes(costs, *smallest.cut) > problem.memory_limit_bytes) refuse(problem, costs, smallest, answer.proven);
    answer.cut = smallest.cut;  // the search for memory alone came further
  }
  Partition partition = price_with(problem, costs, *answer.cut);
  partition.proven = answer.proven;
  return partition;
}

void check_memory(const PartitionProblem& problem, const Partition& partition) {
  if (problem.memory_limit_bytes <= 0) return;
  for (std::size_t rank = 0; rank < partition.ranks.size(); ++rank) {
    const MemoryNeed& need = partition.ranks[rank];
    if (need.total() <= problem.memory_limit_bytes) continue;
    fail(ErrorKind::launch,
         "rank {} of the pipeline needs {} bytes (weights {}, rounded weights {}, gradients {}, partial sums {}, received sums {}, optimizer {}, activations "
         "{}), parallel.memory_limit is {} bytes: take another parallel.partition (\"auto\" keeps the limit where a cut can), or {}",
         rank, need.total(), need.weights, need.rounded, need.gradients, need.partial_sums, need.received, need.optimizer, need.activations,
         problem.memory_limit_bytes, memory_knobs);
  }
}

}  // namespace tributary
