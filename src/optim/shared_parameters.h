// Parameters that blocks of several stages use: their gradients go to the stage that trains them, its new values come back. Once a step each.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "optim/holding.h"
#include "pipeline/stage_layout.h"

namespace tributary {

// parts: of each own stage what SliceExchange::finish() gave. Adds the later uses to the first ones, in order of their blocks.
// Collective: all ranks of the pipeline.
void add_later_uses(const Holding& holding, const ModelLayout& layout, const std::vector<std::vector<at::Tensor>>& parts);

// parameters: the arena of each own stage. Every stage gets its copies of what others train, where the rank that holds it writes them ([places of the
// pipeline]): of ranks that see the same arena only one does. Collective: all ranks of the pipeline.
void share_parameters(const Holding& holding, const ModelLayout& layout, const std::vector<at::Tensor>& parameters, const std::vector<bool>& writes);

}  // namespace tributary
