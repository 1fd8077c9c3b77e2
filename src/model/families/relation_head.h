// The relation head: a class for each ordered pair of concepts of a record. Specification, paragraph 11 (eq 28 to 32).
#pragma once

#include "model/block.h"
#include "model/families/fusion.h"
#include "model/families/record_heads.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Adds the blocks that make a vector of each concept, the mean of f~ at the first tokens of its mentions (0 for a concept without), and classes of each pair.
void add_relation_head(BlockList& list, const ModelSettings& settings, const Task& task, const TaskHead& head, const SequenceLayout& layout,
                       const FusedNames& fused, const HeadNames& gives);

// Of what relation_outcome() gives; reads entities and labels (the pairs).
[[nodiscard]] std::function<std::vector<TensorShape>(const Batch&, const LeafContext&)> relation_shapes(const TaskHead& head, const Task& task);

// What a relation block gives: its part of the loss, the loss sum, the probabilities. logits [P, classes] of the task of `head`.
[[nodiscard]] std::vector<at::Tensor> relation_outcome(const at::Tensor& logits, const TaskHead& head, const BlockInput& in);

}  // namespace tributary
