// What the scaling benchmarks compute: a BERT encoder of given sizes with random weights on windows of equal length.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "batches/batch.h"
#include "model/model_config.h"

namespace tributary {

struct EncoderTask {
  TextConfig text;  // dropout as BERT's
  std::int64_t vocabulary = 0;
  std::int64_t windows = 0;  // a step, over all ranks
  std::int64_t tokens = 0;   // a window
  std::int64_t leaves = 0;   // a step, over all ranks; divides `windows`
};

// From {"layers", "width", "heads", "intermediate", "positions", "vocabulary", "windows", "tokens", "leaves"}.
[[nodiscard]] EncoderTask encoder_task(const nlohmann::json& given);

// The leaves of a step; the same ones whichever step.
[[nodiscard]] std::vector<Batch> make_leaves(const EncoderTask& task);

}  // namespace tributary
