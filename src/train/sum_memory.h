// How much memory the sums of gradients of a whole run take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "batches/batch_plan.h"
#include "comm/communicator.h"
#include "optim/sum_plan.h"

namespace tributary {

// The most partial sums (SumPlan::buffers) that a step in [next, total) needs: for GradientReducer::place_parameters(). Leaves by tokens differ from step to
// step, so the ranks look at every step, each at a share of them; `alive` is called now and then. Collective: all ranks of `world`, which have `pipelines`
// copies of the model.
[[nodiscard]] std::size_t most_partial_sums(const Communicator& world, const BatchPlan& plan, Reduction reduction, int pipelines, std::int64_t next,
                                            std::int64_t total, const std::function<void()>& alive);

}  // namespace tributary
