#include "train/sum_memory.h"

#include <algorithm>
#include <array>
#include <set>

#include "comm/agree.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

// Steps of every number of leaves that occurs, for this rank to look at.
std::set<std::int64_t> steps_to_look_at(const Communicator& world, const BatchPlan& plan, std::int64_t next, std::int64_t total) {
  std::set<std::int64_t> steps;
  if (plan.options().token_budget > 0) {
    for (std::int64_t step = next + world.rank(); step < total; step += world.size()) steps.insert(step);
    return steps;
  }
  const std::int64_t every = plan.steps_per_epoch(), last = (next / every + 1) * every - 1;  // of the epoch: the one that may be smaller
  for (const std::int64_t step : {next, next + 1, last})
    if (step < total) steps.insert(step);
  return steps;
}

}  // namespace

std::size_t most_partial_sums(const Communicator& world, const BatchPlan& plan, Reduction reduction, int pipelines, std::int64_t next, std::int64_t total,
                              const std::function<void()>& alive) {
  std::array<std::int64_t, 1> most{agreed(world, [&] {
    std::set<std::int64_t> leaves;
    for (const std::int64_t step : steps_to_look_at(world, plan, next, total)) {
      leaves.insert(plan.step(step).leaves);
      alive();
    }
    std::int64_t needed = 0;
    for (const std::int64_t count : leaves)
      needed = std::max(needed, static_cast<std::int64_t>(plan_sum(reduction, leaf_bounds(count, pipelines), {pipelines, 1}).buffers));  // whatever the nodes
    return needed;
  })};
  world.maximum(most);
  return static_cast<std::size_t>(most[0]);
}

}  // namespace tributary
