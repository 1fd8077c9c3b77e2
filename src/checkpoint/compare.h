// Two checkpoints tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"

namespace tributary {

struct TensorDifference {
  std::string name;
  std::string what;                  // "only in the first", "only in the second", "shape", "values"
  std::int64_t differing_bytes = 0;  // values only
  std::int64_t bytes = 0;
  double largest = 0;  // absolute difference; infinite where one side is not a number
};

struct CheckpointDifference {
  std::int64_t compared = 0;  // tensors in both with one shape
  std::vector<TensorDifference> tensors;
};

// Tensors with equal digests are not read. Throws: Error{data, missing, io}.
[[nodiscard]] CheckpointDifference compare_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace tributary
