// How many parameters each part of a model has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/parameters.h"

namespace tributary {

struct PartCount {
  std::string part;  // "lstm.0", "cnn.g1", "attention", ...
  std::int64_t parameters = 0;
  std::int64_t trainable = 0;
};

// In the order of first appearance by name; a shared parameter counts once.
[[nodiscard]] std::vector<PartCount> count_parts(const ParameterLayout& layout);

// A table with a total, one line a part.
[[nodiscard]] std::string parameter_table(const ParameterLayout& layout);

}  // namespace tributary
