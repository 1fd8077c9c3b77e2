// `tributary evaluate`: a checkpoint on a data set that fits it, written as metrics.json and predictions.csv.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/log.h"
#include "checkpoint/manifest.h"
#include "comm/communicator.h"
#include "metrics/task_metrics.h"
#include "shards/schema.h"
#include "train/parallel_config.h"

namespace tributary {

struct EvaluateOptions {
  std::string checkpoint;      // a checkpoint, or a run directory: then its newest
  std::string shards;          // a data set; its records are normalised as those the model was trained on
  std::optional<Split> split;  // none: all
  std::string out;             // directory for metrics.json and predictions.csv
  ParallelConfig parallel = {};
  std::string device = "cpu";  // as run.device; computed in float32, whatever the training computed in
  bool share_gpu = false;      // as run.share_gpu
};

// Thresholds of relation tasks by name, as the last validation before the checkpoint chose them.
[[nodiscard]] std::map<std::string, double> stored_thresholds(const Manifest& manifest);

// Collective: all ranks. Returns the metrics on rank 0, nothing elsewhere.
// Throws on all ranks together: Error{data} naming what of the data set does not fit the model, or that the split is empty; Error{missing, cannot_create, io}.
std::vector<TaskMetrics> evaluate_checkpoint(const Communicator& world, const Log& log, const EvaluateOptions& options);

}  // namespace tributary
