// The hierarchical residual LSTM, one block a layer, and the temporal attention over its last layer. Specification, paragraphs 4 to 6.
#pragma once

#include <string>
#include <vector>

#include "model/block.h"
#include "model/families/timeline.h"
#include "model/model_config.h"

namespace tributary {

// Sensor groups fed to each layer, ascending. All to layer 1 by default and in the plain LSTM of the ablation.
// Throws: Error{configuration} for an unknown group, one in no layer or in several, or more lists than layers.
[[nodiscard]] std::vector<std::vector<std::size_t>> groups_of_layers(const ModelSettings& settings, const Schema& schema);

// Adds the layers; `notes`: name of the hourly note embedding, empty without notes. Returns the name of the last layer's output [B, T, h].
[[nodiscard]] std::string add_lstm_layers(BlockList& list, const ModelSettings& settings, const std::vector<std::vector<std::size_t>>& groups,
                                          const TimelineLayout& layout, const std::string& notes);

// h_i + sum_j beta_j h_j. Returns the name of the output [B, T, h].
[[nodiscard]] std::string add_temporal_attention(BlockList& list, const ModelSettings& settings, const TimelineLayout& layout, const std::string& takes);

}  // namespace tributary
