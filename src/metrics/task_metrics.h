// All metrics of one task from its predictions, as they stand in metrics.json and predictions.csv.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/relation_metrics.h"
#include "metrics/scores.h"
#include "shards/catalogue.h"

namespace tributary {

// Decisions of a relation task by a threshold that was chosen elsewhere.
struct ThresholdMetrics {
  double threshold = 0;
  NamedMetrics values;
};

struct TaskMetrics {
  std::string task;
  TaskKind kind = TaskKind::binary;
  std::vector<std::string> classes;
  std::int64_t records = 0;             // with a valid label; of a relation task: pairs; of masked tokens: those
  std::int64_t missing = 0;             // without one
  std::vector<std::int64_t> positives;  // binary: {of the positive class}; multiclass, multilabel, relation: of each class
  NamedMetrics values;
  std::vector<double> training_frequencies;      // [output_width] of the training labels, see training_frequencies(); empty without classes
  NamedMetrics class_prior;                      // the same metrics of the constant prediction of these frequencies; empty without classes
  bool with_interval = false;                    // whether the interval was asked for
  std::optional<Interval> auroc_interval;        // binary: 95 %, by bootstrap
  std::vector<Metric> auroc_by_class;            // multiclass, multilabel, relation
  std::optional<ThresholdMetrics> at_threshold;  // relation, where a threshold was given
  std::optional<double> best_threshold;          // relation: of these very labels; chosen on validation it serves other records
  // binary: [2, 2], multiclass, relation: [K, K], truth down, prediction across; multilabel: [K, 2, 2].
  std::vector<std::int64_t> confusion;
};

// Of each output's class among the valid training labels: what is known without a look at the records that are evaluated. 0.5, or 1 / classes of a
// multi-class or relation task, where the training split has no label. Shape: [output_width]; empty for a task without classes.
[[nodiscard]] std::vector<double> training_frequencies(const Task& task, const LabelCounts& counts);

// frequencies: training_frequencies() of the task.
// probability [N, output_width] (regression: the prediction; masked tokens: as block.h says), label [N, label_width], valid [N]: row-major; rows that are not
// valid may hold anything. The interval takes a thousand times the time of the rest. Values count as they are written in predictions.csv (nine digits), so that
// anyone can recompute every metric from that file. Throws: Error{numerical} for a probability that is not finite; Error{data} for a label outside the map;
// Error{internal} when sizes disagree. `threshold`: of a relation task's decisions, see decided_classes().
[[nodiscard]] TaskMetrics evaluate_task(const Task& task, std::span<const double> frequencies, std::span<const double> probability,
                                        std::span<const double> label, std::span<const std::uint8_t> valid, bool with_interval = true,
                                        std::optional<double> threshold = {});

// The value of that name; undefined when the task has none.
[[nodiscard]] Metric metric_named(const TaskMetrics& metrics, std::string_view name);

// Mean over the tasks where it is defined.
[[nodiscard]] Metric mean_over_tasks(std::span<const TaskMetrics> tasks, std::string_view name);

// "0.8312", or "undefined".
[[nodiscard]] std::string shown(const Metric& value);

// {"tasks": {name: {...}}, "mean": {...}}; undefined values are the string "undefined".
[[nodiscard]] std::string metrics_json(std::span<const TaskMetrics> tasks);

}  // namespace tributary
