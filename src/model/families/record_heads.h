// The heads of a model and their losses; those of records: one pooled vector a record, one linear head a task. Specification, paragraphs 12 and 13.
#pragma once

#include <vector>

#include "model/block.h"
#include "model/families/fusion.h"
#include "model/families/sequence.h"
#include "model/layers/losses.h"
#include "model/model_config.h"

namespace tributary {

struct TaskHead {
  std::size_t task = 0;  // number in the schema
  double weight = 1;     // of its loss in the total
  LossOptions loss;
};

// The heads that the settings ask for, in the order of the schema; without a list of tasks all that the mode can predict: relations in tokens mode alone.
// Throws: Error{configuration} for tasks the schema does not have or the mode cannot predict, two relation tasks, losses that do not fit their tasks.
[[nodiscard]] std::vector<TaskHead> task_heads(const HeadsConfig& settings, const std::vector<Task>& tasks, SequenceMode mode);

// Weight / global count of valid labels; 0 where the step has none.
[[nodiscard]] double loss_factor(const TaskHead& head, const LeafContext& context);

// What a block of heads gives beside the probabilities: its part of the loss, and the sums of its tasks in their order.
struct HeadNames {
  std::string loss, loss_sums;
};

// Adds the block of the heads of records.
void add_record_heads(BlockList& list, const ModelSettings& settings, const std::vector<Task>& tasks, const std::vector<TaskHead>& heads,
                      const SequenceLayout& layout, const FusedNames& fused, const HeadNames& gives);

}  // namespace tributary
