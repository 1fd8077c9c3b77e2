// [text] of a published encoder.
#pragma once

#include "checkpoint/serving/encoder_folder.h"
#include "model/model_config.h"

namespace tributary::testing_support {

inline TextConfig text_of(const EncoderArchitecture& found) {
  TextConfig text;
  text.layers = found.layers;
  text.width = found.width;
  text.heads = found.heads;
  text.intermediate = found.intermediate;
  text.positions = found.positions;
  text.type_vocabulary = found.type_vocabulary;
  text.layer_norm_epsilon = found.layer_norm_epsilon;
  return text;
}

}  // namespace tributary::testing_support
