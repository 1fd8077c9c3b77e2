// What each block of a model costs, measured on leaves of the run's own data.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "pipeline/engine.h"
#include "schedule/partition.h"

namespace tributary {

// Names for the pure parts of the plan.
[[nodiscard]] ModelGraph graph_of(const BlockList& model);

// Runs `leaves` through the model on this rank, each block a stage of its own, `rounds` times after one round that is not counted: medians over rounds of the
// means over leaves. Leaves of an evaluation (LeafContext::training) run forward alone. Activation bytes are what the heap has grown by in a block's forward.
// arena: of the whole model. `alive` is called before each operation of a block, outside of what is measured.
[[nodiscard]] std::vector<BlockCost> measure_blocks(const BlockList& model, const at::Tensor& arena, const std::vector<Leaf>& leaves,
                                                    const std::function<void()>& alive = {}, int rounds = 3);

}  // namespace tributary
