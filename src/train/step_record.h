// What a step leaves behind: one line of events.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

struct StepRecord {
  std::int64_t step = 0;  // number of the step just done, from 1
  std::int64_t epoch = 0;
  std::int64_t leaves = 0;
  std::int64_t records = 0;
  std::optional<double> loss;                      // weighted sum of the task losses
  std::vector<std::optional<double>> task_losses;  // mean over valid labels; none where the step has none
  double gradient_norm = 0;
  double learning_rate = 0;
  double loss_scale = 1;  // with which the step was computed; fp16
  bool applied = true;    // false: the gradient was not finite, nothing moved
  std::string bad_part;   // where a gradient that is not finite began
  bool stop = false;      // some rank was asked to save and leave
  double seconds = 0;
  double efficiency = 1;    // share of the ranks' time of the step before spent computing
  double input_wait_s = 0;  // on this rank
};

}  // namespace tributary
