// Fusion of the sequence with the convolution branches. Specification, paragraph 8.
// f_i = [h_i ; p~] repeats p~ at every position, so the fused sequence is kept in parts: most of what follows never needs it written out.
#pragma once

#include <string>
#include <vector>

#include "model/block.h"
#include "model/families/draft.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Element i is gate_i * [positions_i ; record].
struct FusedSequence {
  at::Tensor positions;  // [B, T, D]
  at::Tensor record;     // [B, E]; undefined: none
  at::Tensor gate;       // [B, T]; undefined: 1

  // Every element times weight [F, D + E], -> [B, T, F]
  [[nodiscard]] at::Tensor project(const at::Tensor& weight, WeightQueue* queue) const;
  // sum_i weights_i f_i, weights [B, T] -> [B, D + E]
  [[nodiscard]] at::Tensor weighted_sum(const at::Tensor& weights) const;
  // Written out: [B, T, D + E]
  [[nodiscard]] at::Tensor dense() const;
};

// Where a fused sequence travels: names of its parts (empty: that part does not exist) and its width D + E.
struct FusedNames {
  std::string positions, record, gate;
  std::int64_t width = 0;
};

// Reads a fused sequence inside a block.
struct FusedInput {
  std::size_t positions = 0, record = 0, gate = 0;
  bool has_record = false, has_gate = false;
  [[nodiscard]] FusedSequence operator()(const BlockInput& in) const;
};
[[nodiscard]] FusedInput take_fused(BlockDraft& draft, const FusedNames& names);

// Adds the fusion block over `sequence` [B, T, h] and the branches' outputs; no block where there are no branches.
[[nodiscard]] FusedNames add_fusion(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const std::string& sequence,
                                    const std::vector<std::string>& branches);

}  // namespace tributary
