#include "metrics/task_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "metrics/predictions.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

// Valid rows only, values as written.
struct Rows {
  std::vector<double> probability;  // [n, output_width]
  std::vector<double> label;        // [n, label_width]
  std::int64_t count = 0;
};

void check_label(const Task& task, double value, std::size_t row) {
  if (task.classes.empty()) {
    if (!std::isfinite(value)) fail(ErrorKind::data, "task {}, prediction {}: the label is not finite", task.name, row);
    return;
  }
  const double limit = is_one_class(task.kind) ? static_cast<double>(task.classes.size()) : 2;
  if (!(value >= 0 && value < limit && value == std::floor(value)))
    fail(ErrorKind::data, "task {}, prediction {}: expected a label from 0 to {}, found {}", task.name, row, limit - 1, value);
}

Rows valid_rows(const Task& task, std::span<const double> probability, std::span<const double> label, std::span<const std::uint8_t> valid) {
  const auto outputs = static_cast<std::size_t>(task.output_width()), labels = static_cast<std::size_t>(task.label_width());
  check(probability.size() == valid.size() * outputs && label.size() == valid.size() * labels,
        "metrics of task {}: {} records, {} probabilities of width {}, {} labels of width {}", task.name, valid.size(), probability.size(), outputs,
        label.size(), labels);
  Rows rows;
  for (std::size_t i = 0; i < valid.size(); ++i) {
    if (valid[i] == 0) continue;
    ++rows.count;
    for (const double value : probability.subspan(i * outputs, outputs)) {
      if (!std::isfinite(value)) fail(ErrorKind::numerical, "task {}, prediction {}: {} is not finite", task.name, i, value);
      rows.probability.push_back(as_written(value));
    }
    for (const double value : label.subspan(i * labels, labels)) {
      check_label(task, value, i);
      rows.label.push_back(as_written(value));
    }
  }
  return rows;
}

std::vector<double> column(std::span<const double> values, std::size_t width, std::size_t which) {
  std::vector<double> result;
  for (std::size_t i = which; i < values.size(); i += width) result.push_back(values[i]);
  return result;
}

std::vector<std::uint8_t> truth_column(std::span<const double> labels, std::size_t width, std::size_t which) {
  std::vector<std::uint8_t> result;
  for (std::size_t i = which; i < labels.size(); i += width) result.push_back(labels[i] != 0);
  return result;
}

NamedMetrics binary_values(const BinaryScores& scores) {
  const BinaryCounts counts = count_decisions(scores);
  return {{"auroc", auroc(scores)},
          {"auprc", average_precision(scores)},
          {"accuracy", accuracy(counts)},
          {"sensitivity", sensitivity(counts)},
          {"specificity", specificity(counts)},
          {"precision", precision(counts)},
          {"f1", f1(counts)},
          {"ece", calibration_error(scores.score, scores.truth)},
          {"brier", brier(scores)},
          {"log_loss", log_loss(scores)}};
}

NamedMetrics multiclass_values(const ClassScores& scores) {
  const std::vector<BinaryCounts> counts = counts_by_class(scores);
  const BinaryCounts all = pooled(counts);
  return {{"auroc", mean_defined(auroc_by_class(scores))},
          {"auprc", mean_defined(average_precision_by_class(scores))},
          {"accuracy", sensitivity(all)},  // a wrong record is one false negative of its class: the pooled recall is the share of right ones
          {"sensitivity_macro", macro_sensitivity(counts)},
          {"specificity_macro", macro_specificity(counts)},
          {"f1_macro", macro_f1(counts)},
          {"f1_micro", f1(all)},
          {"ece", calibration_error(scores)},
          {"brier", brier(scores)},
          {"log_loss", log_loss(scores)}};
}

struct LabelColumns {
  std::vector<std::vector<double>> score;
  std::vector<std::vector<std::uint8_t>> truth;
  [[nodiscard]] BinaryScores at(std::size_t k) const { return {score[k], truth[k]}; }
};

template <class Value>
std::vector<Metric> each_label(const LabelColumns& columns, Value&& value) {
  std::vector<Metric> values;
  for (std::size_t k = 0; k < columns.score.size(); ++k) values.push_back(value(columns.at(k)));
  return values;
}

// Every class is a binary task of its own; "macro" and the rest are means over the classes, "micro" pools all (record, class) decisions.
NamedMetrics multilabel_values(const LabelColumns& columns) {
  std::vector<BinaryCounts> counts;
  for (std::size_t k = 0; k < columns.score.size(); ++k) counts.push_back(count_decisions(columns.at(k)));
  const BinaryCounts all = pooled(counts);
  const auto mean = [&](auto&& value) { return mean_defined(each_label(columns, value)); };
  return {{"auroc", mean([](const BinaryScores& s) { return auroc(s); })},
          {"auprc", mean([](const BinaryScores& s) { return average_precision(s); })},
          {"accuracy", accuracy(all)},
          {"sensitivity_macro", macro_sensitivity(counts)},
          {"specificity_macro", macro_specificity(counts)},
          {"f1_macro", macro_f1(counts)},
          {"f1_micro", f1(all)},
          {"ece", mean([](const BinaryScores& s) { return calibration_error(s.score, s.truth); })},
          {"brier", mean([](const BinaryScores& s) { return brier(s); })},
          {"log_loss", mean([](const BinaryScores& s) { return log_loss(s); })}};
}

NamedMetrics regression_values(const Regression& values) {
  return {{"mae", mean_absolute_error(values)}, {"rmse", root_mean_square_error(values)}, {"r2", r_squared(values)}};
}

// said [N, 2]: minus the logarithm of the true token's probability, and whether it was the most probable one.
NamedMetrics masked_token_values(const Rows& rows) {
  if (rows.count == 0) return {{"loss", std::nullopt}, {"perplexity", std::nullopt}, {"accuracy", std::nullopt}};
  const auto mean = [&](std::size_t which) {
    const std::vector<double> values = column(rows.probability, 2, which);
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(rows.count);
  };
  return {{"loss", mean(0)}, {"perplexity", std::exp(mean(0))}, {"accuracy", mean(1)}};
}

void append(std::vector<std::int64_t>& confusion, const BinaryCounts& c) {
  confusion.insert(confusion.end(), {c.true_negative, c.false_positive, c.false_negative, c.true_positive});
}

void evaluate_binary(TaskMetrics& result, const Rows& rows) {
  const std::vector<std::uint8_t> truth = truth_column(rows.label, 1, 0);
  const BinaryScores scores{rows.probability, truth};
  result.positives = {std::count(truth.begin(), truth.end(), 1)};
  result.values = binary_values(scores);
  result.class_prior = binary_values({std::vector<double>(truth.size(), result.training_frequencies[0]), truth});
  if (result.with_interval) result.auroc_interval = auroc_interval(scores, derive_key(Draw::bootstrap, 0, result.task));
  append(result.confusion, count_decisions(scores));
}

void evaluate_classes(TaskMetrics& result, const Rows& rows, std::optional<double> threshold) {
  const std::size_t classes = result.classes.size();
  std::vector<std::int64_t> truth;
  result.positives.assign(classes, 0);
  for (const double label : rows.label) {
    truth.push_back(static_cast<std::int64_t>(label));
    ++result.positives[static_cast<std::size_t>(label)];
  }
  std::vector<double> prior;
  for (std::int64_t row = 0; row < rows.count; ++row) prior.insert(prior.end(), result.training_frequencies.begin(), result.training_frequencies.end());
  const ClassScores scores{rows.probability, truth, static_cast<std::int64_t>(classes)};
  const auto values = result.kind == TaskKind::relation ? relation_values : multiclass_values;
  result.values = values(scores);
  result.class_prior = values({prior, truth, scores.classes});
  result.auroc_by_class = auroc_by_class(scores);
  result.confusion = confusion_matrix(scores);
  if (result.kind != TaskKind::relation) return;
  result.best_threshold = best_threshold(scores);
  if (threshold) result.at_threshold = {*threshold, decision_values(truth, decided_classes(scores, threshold), scores.classes)};
}

void evaluate_multilabel(TaskMetrics& result, const Rows& rows) {
  const std::size_t classes = result.classes.size();
  LabelColumns columns, prior;
  for (std::size_t k = 0; k < classes; ++k) {
    columns.score.push_back(column(rows.probability, classes, k));
    columns.truth.push_back(truth_column(rows.label, classes, k));
    result.positives.push_back(std::count(columns.truth[k].begin(), columns.truth[k].end(), 1));
    prior.score.emplace_back(columns.score[k].size(), result.training_frequencies[k]);
    append(result.confusion, count_decisions(columns.at(k)));
  }
  prior.truth = columns.truth;
  result.values = multilabel_values(columns);
  result.class_prior = multilabel_values(prior);
  result.auroc_by_class = each_label(columns, [](const BinaryScores& s) { return auroc(s); });
}

}  // namespace

std::vector<double> training_frequencies(const Task& task, const LabelCounts& counts) {
  if (task.classes.empty()) return {};
  const auto train = static_cast<std::size_t>(Split::train);
  const auto width = static_cast<std::size_t>(task.output_width());
  check(counts.classes.size() == task.classes.size(), "task {}: label counts of {} classes, {} expected", task.name, counts.classes.size(),
        task.classes.size());
  const std::int64_t labels = counts.valid[train];
  if (labels == 0) return std::vector<double>(width, is_one_class(task.kind) ? 1.0 / static_cast<double>(width) : 0.5);
  std::vector<double> frequencies;
  for (std::size_t k = task.classes.size() - width; k < task.classes.size(); ++k)  // of a binary task the second class is the positive one
    frequencies.push_back(static_cast<double>(counts.classes[k][train]) / static_cast<double>(labels));
  return frequencies;
}

TaskMetrics evaluate_task(const Task& task, std::span<const double> frequencies, std::span<const double> probability, std::span<const double> label,
                          std::span<const std::uint8_t> valid, bool with_interval, std::optional<double> threshold) {
  check(task.classes.empty() || frequencies.size() == static_cast<std::size_t>(task.output_width()),
        "metrics of task {}: {} training frequencies for {} outputs", task.name, frequencies.size(), task.output_width());
  const Rows rows = valid_rows(task, probability, label, valid);
  TaskMetrics result;
  result.task = task.name;
  result.kind = task.kind;
  result.classes = task.classes;
  result.with_interval = with_interval;
  result.training_frequencies.assign(frequencies.begin(), frequencies.end());
  result.records = rows.count;
  result.missing = static_cast<std::int64_t>(valid.size()) - rows.count;
  switch (task.kind) {
    case TaskKind::binary:
      evaluate_binary(result, rows);
      break;
    case TaskKind::multiclass:
    case TaskKind::relation:
      evaluate_classes(result, rows, threshold);
      break;
    case TaskKind::multilabel:
      evaluate_multilabel(result, rows);
      break;
    case TaskKind::regression:
      result.values = regression_values({rows.probability, rows.label});
      break;
    case TaskKind::masked_token:
      result.values = masked_token_values(rows);
      break;
  }
  return result;
}

Metric metric_named(const TaskMetrics& metrics, std::string_view name) {
  const auto found = std::find_if(metrics.values.begin(), metrics.values.end(), [&](const auto& entry) { return entry.first == name; });
  return found == metrics.values.end() ? std::nullopt : found->second;
}

Metric mean_over_tasks(std::span<const TaskMetrics> tasks, std::string_view name) {
  std::vector<Metric> values;
  for (const TaskMetrics& task : tasks) values.push_back(metric_named(task, name));
  return mean_defined(values);
}

}  // namespace tributary
