// Runs a model over a split on all ranks: predictions in row order, losses through the tree. The same bits for any grid of ranks.
#pragma once

#include <optional>
#include <vector>

#include "batches/batch_plan.h"
#include "batches/prefetcher.h"
#include "comm/communicator.h"
#include "comm/watchdog.h"
#include "metrics/task_metrics.h"
#include "train/data_set.h"
#include "train/network.h"
#include "train/parallel.h"
#include "train/run_settings.h"

namespace tributary {

// An ordered pair of concepts: numbers inside its record.
struct PairPlace {
  RecordPlace record;
  std::int32_t head = 0, tail = 0;
};

struct TaskScores {                 // N: records; of a relation task pairs, of masked tokens those
  std::vector<double> probability;  // [N, output_width]
  std::vector<double> label;        // [N, label_width]
  std::vector<std::uint8_t> valid;  // [N]
  std::vector<PairPlace> pairs;     // [N], in order of their records; empty for other tasks
  void append(const TaskScores& more);
};

struct Evaluation {
  std::vector<RecordPlace> places;                 // of the records in row order; on rank 0, empty elsewhere
  std::vector<TaskScores> scores;                  // as BlockList::tasks; on rank 0, empty elsewhere
  std::vector<std::optional<double>> task_losses;  // mean over valid labels; none where there are none; on every rank
  std::optional<double> loss;                      // weighted sum of the task losses, as in training; on every rank
};

[[nodiscard]] PlanOptions plan_options(const RunSettings& settings, const BlockList& model);

// Everything an evaluation reads. Keeps references.
struct EvaluationTools {
  const Parallel& parallel;
  const DataSet& data;
  const BatchPlan& plan;
  RowSource& source;
  const Collator& collator;
  const Network& network;
  const std::map<std::string, double>& task_weights;  // HeadsConfig::weight
  Watchdog& watchdog;
  HiddenSource* hidden = nullptr;  // a cache of token embeddings, or none
};

// Leaves that a rank of a pipeline of so many runs at a time: as many as keep every stage busy most of the time.
[[nodiscard]] constexpr std::int64_t evaluated_together(int pipeline) { return pipeline == 1 ? 1 : 4 * std::int64_t{pipeline}; }

// parameters: the arena of each stage of this rank. Collective: all ranks. Throws: Error{data, io, missing}, on all ranks together unless the model is cut.
[[nodiscard]] Evaluation evaluate_split(const EvaluationTools& tools, const std::vector<at::Tensor>& parameters, Split split, std::int64_t step);

// On rank 0, which holds the scores. `thresholds`: of relation tasks by name. Throws: Error{numerical, data} as evaluate_task.
[[nodiscard]] std::vector<TaskMetrics> metrics_of(const Evaluation& evaluation, const Network& network, const Catalogue& catalogue, bool with_intervals,
                                                  const std::map<std::string, double>& thresholds = {});

// Weighted sum of the defined task losses; none where none is defined.
[[nodiscard]] std::optional<double> total_loss(const std::vector<std::optional<double>>& task_losses, const BlockList& model, const Schema& schema,
                                               const std::map<std::string, double>& task_weights);

}  // namespace tributary
