// What a step leaves behind: one line of events.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

// A leaf of which some number is not finite.
struct BadLeaf {
  std::int64_t leaf = 0;
  int rank = 0;          // that computed it there
  std::string block;     // the first, in the order of computing, whose values or gradients are not finite
  bool forward = false;  // its values; else the gradient of the parameter
  std::string parameter;
  bool operator==(const BadLeaf&) const = default;
};

struct StepRecord {
  std::int64_t step = 0;  // number of the step just done, from 1
  std::int64_t epoch = 0;
  std::int64_t leaves = 0;
  std::int64_t records = 0;
  std::optional<double> loss;                      // weighted sum of the task losses
  std::vector<std::optional<double>> task_losses;  // mean over valid labels; none where the step has none
  double gradient_norm = 0;
  double learning_rate = 0;
  double loss_scale = 1;                 // with which the step was computed; fp16
  bool applied = true;                   // false: the gradient was not finite, nothing moved
  std::string bad_part;                  // the block nearest the loss whose gradient is not finite
  std::vector<BadLeaf> bad_leaves = {};  // of a gradient that is not finite, ascending; none: every leaf's own is finite, their sum is not
  bool stop = false;                     // some rank was asked to save and leave
  double seconds = 0;
  double efficiency = 1;    // share of the ranks' time of the step before spent computing
  double input_wait_s = 0;  // on this rank
};

}  // namespace tributary
