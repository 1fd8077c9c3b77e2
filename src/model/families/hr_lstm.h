// The hierarchical residual LSTM, one block a layer, and the temporal attention over its last layer. Specification, paragraphs 4 to 6.
#pragma once

#include <string>
#include <vector>

#include "model/block.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// Sensor groups fed to each layer, ascending. All to layer 1 by default and in the plain LSTM of the ablation; none in tokens mode.
// Throws: Error{configuration} for an unknown group, one in no layer or in several, or more lists than layers.
[[nodiscard]] std::vector<std::vector<std::size_t>> groups_of_layers(const ModelSettings& settings, const Schema& schema, SequenceMode mode);

// Adds the layers; `first`: what layer 1 receives beside sensors and static features, the hourly note embedding or the tokens. Returns the name of the last
// layer's output [B, T, h].
[[nodiscard]] std::string add_lstm_layers(BlockList& list, const ModelSettings& settings, const std::vector<std::vector<std::size_t>>& groups,
                                          const SequenceLayout& layout, const SequenceTensor& first);

// h_i + sum_j beta_j h_j. Returns the name of the output [B, T, h].
[[nodiscard]] std::string add_temporal_attention(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const std::string& takes);

}  // namespace tributary
