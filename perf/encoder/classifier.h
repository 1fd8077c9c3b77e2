// The model of the encoder benchmarks: an encoder with a linear head on the mean of each window's tokens.
#pragma once

#include "model/block.h"
#include "model/model_config.h"

namespace tributary {

// Puts out the loss of a leaf: cross entropy over 40 classes, its sum over the windows divided by the label count of the step.
[[nodiscard]] BlockList mean_classifier(const TextConfig& text, std::int64_t vocabulary);

}  // namespace tributary
