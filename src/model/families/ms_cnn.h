// The multi-scale convolution branches, one block a set: a sensor group, or in tokens mode `all`. Specification, paragraph 7 (eq 11 to 13).
#pragma once

#include <string>

#include "model/block.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Adds the branches over z of sensor group `group`; returns the name of their output [B, branch_width].
[[nodiscard]] std::string add_group_branches(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, std::size_t group);

// Adds the branches of set `all` over a tensor that is 0 outside the records' own positions.
[[nodiscard]] std::string add_tensor_branches(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const SequenceTensor& over);

// Pairs x windows x filters.
[[nodiscard]] std::int64_t branch_width(const CnnConfig& cnn);

// Max over `windows` windows of each record's own positions: window w covers floor(w m / P) to ceil((w + 1) m / P) - 1 of counts[b] = m positions.
// x [B, M, F], counts [B] int64, at most M -> [B, P, F]; 0 where m is 0.
[[nodiscard]] at::Tensor window_max(const at::Tensor& x, const at::Tensor& counts, std::int64_t windows);

}  // namespace tributary
