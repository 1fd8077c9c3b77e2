// One pooled vector a record, one linear head a task, and the losses. Specification, paragraphs 12 and 13.
#pragma once

#include <vector>

#include "model/block.h"
#include "model/families/fusion.h"
#include "model/families/timeline.h"
#include "model/layers/losses.h"
#include "model/model_config.h"

namespace tributary {

struct TaskHead {
  std::size_t task = 0;  // number in the schema
  double weight = 1;     // of its loss in the total
  LossOptions loss;
};

// The heads that the settings ask for, in the order of the schema.
// Throws: Error{configuration} for tasks the schema does not have and losses that do not fit theirs.
[[nodiscard]] std::vector<TaskHead> task_heads(const HeadsConfig& settings, const std::vector<Task>& tasks);

// Adds the block that gives `loss`, `loss_sums` (in the order of `heads`) and each probability, and names the outputs of the list.
void add_record_heads(BlockList& list, const ModelSettings& settings, const Schema& schema, const std::vector<TaskHead>& heads, const TimelineLayout& layout,
                      const FusedNames& fused);

}  // namespace tributary
