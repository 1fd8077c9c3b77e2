// Metrics as pure functions of scores and truths. Undefined (no positives, no records, ...) is an empty optional, never 0. Specification, section 7.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/key.h"

namespace tributary {

using Metric = std::optional<double>;

// N records; `truth` is 0 or 1, `score` is any order-preserving value for the ranking metrics and a probability for the others.
struct BinaryScores {
  std::span<const double> score;        // [N]
  std::span<const std::uint8_t> truth;  // [N]
};

// Probability that a positive scores above a negative, ties one half. Undefined without both.
[[nodiscard]] Metric auroc(const BinaryScores& scores);

// Average precision: sum over thresholds of (recall gained) x precision, tied scores entering together. Undefined without positives.
[[nodiscard]] Metric average_precision(const BinaryScores& scores);

struct Interval {
  double low = 0;
  double high = 0;
};

// Percentile bootstrap of the AUROC over records; resample b draws record i by draw (b N + i) of the key. Resamples without both classes are left out.
// Throws: Error{internal} unless 0 < level < 1 and resamples >= 1. Undefined where the AUROC is.
[[nodiscard]] std::optional<Interval> auroc_interval(const BinaryScores& scores, const Key& key, int resamples = 1000, double level = 0.95);

// Decisions at score >= 0.5.
struct BinaryCounts {
  std::int64_t true_positive = 0, false_positive = 0, true_negative = 0, false_negative = 0;
  [[nodiscard]] std::int64_t total() const { return true_positive + false_positive + true_negative + false_negative; }
};
[[nodiscard]] BinaryCounts count_decisions(const BinaryScores& scores, double threshold = 0.5);
[[nodiscard]] Metric accuracy(const BinaryCounts& counts);
[[nodiscard]] Metric sensitivity(const BinaryCounts& counts);  // recall of positives
[[nodiscard]] Metric specificity(const BinaryCounts& counts);  // recall of negatives
[[nodiscard]] Metric precision(const BinaryCounts& counts);
[[nodiscard]] Metric f1(const BinaryCounts& counts);  // undefined when neither truth nor decisions hold a positive

[[nodiscard]] Metric brier(const BinaryScores& scores);     // mean of (p - y)^2
[[nodiscard]] Metric log_loss(const BinaryScores& scores);  // mean of -log of the probability of the truth, which is held above 1e-15

// Expected calibration error in 15 bins: bin = min(floor(15 confidence), 14); sum over bins of |accuracy - mean confidence| x share.
[[nodiscard]] Metric calibration_error(std::span<const double> confidence, std::span<const std::uint8_t> correct);

// probability [N, K] row-major, truth [N] in 0..K-1.
struct ClassScores {
  std::span<const double> probability;
  std::span<const std::int64_t> truth;
  std::int64_t classes = 0;
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(truth.size()); }
};

[[nodiscard]] std::vector<std::int64_t> predicted_class(const ClassScores& scores);  // the most probable, the lowest of equals

// One-vs-rest values of each class, [K]; undefined where a class lacks positives or negatives (average precision: positives).
[[nodiscard]] std::vector<Metric> auroc_by_class(const ClassScores& scores);
[[nodiscard]] std::vector<Metric> average_precision_by_class(const ClassScores& scores);

// Mean over the defined values; undefined when none is.
[[nodiscard]] Metric mean_defined(std::span<const Metric> values);

// [K, K] row-major: truth down, prediction across.
[[nodiscard]] std::vector<std::int64_t> confusion_matrix(const ClassScores& scores);

[[nodiscard]] std::vector<std::int64_t> confusion_matrix(std::span<const std::int64_t> truth, std::span<const std::int64_t> decided, std::int64_t classes);

// One-vs-rest decisions of the predicted class, [K].
[[nodiscard]] std::vector<BinaryCounts> counts_by_class(const ClassScores& scores);
[[nodiscard]] std::vector<BinaryCounts> counts_by_class(std::span<const std::int64_t> confusion, std::int64_t classes);
[[nodiscard]] BinaryCounts pooled(std::span<const BinaryCounts> by_class);

// Mean over the classes present in truth or prediction.
[[nodiscard]] Metric macro_f1(std::span<const BinaryCounts> by_class);
// Means over the classes that have positives (sensitivity), negatives (specificity) or were predicted (precision).
[[nodiscard]] Metric macro_sensitivity(std::span<const BinaryCounts> by_class);
[[nodiscard]] Metric macro_specificity(std::span<const BinaryCounts> by_class);
[[nodiscard]] Metric macro_precision(std::span<const BinaryCounts> by_class);

[[nodiscard]] Metric brier(const ClassScores& scores);  // mean over records of the sum over classes
[[nodiscard]] Metric log_loss(const ClassScores& scores);
[[nodiscard]] Metric calibration_error(const ClassScores& scores);  // on the confidence of the predicted class

struct Regression {
  std::span<const double> prediction;
  std::span<const double> truth;
};
[[nodiscard]] Metric mean_absolute_error(const Regression& values);
[[nodiscard]] Metric root_mean_square_error(const Regression& values);
[[nodiscard]] Metric r_squared(const Regression& values);  // undefined when the truths do not vary

}  // namespace tributary
