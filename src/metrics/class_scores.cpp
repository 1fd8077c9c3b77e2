#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "metrics/scores.h"

namespace tributary {
namespace {

double at(const ClassScores& scores, std::size_t row, std::int64_t column) {
  return scores.probability[row * static_cast<std::size_t>(scores.classes) + static_cast<std::size_t>(column)];
}

// One class against the rest.
template <class Ranking>
std::vector<Metric> each_class(const ClassScores& scores, Ranking&& ranking) {
  std::vector<Metric> values;
  std::vector<double> column(scores.truth.size());
  std::vector<std::uint8_t> is_class(scores.truth.size());
  for (std::int64_t k = 0; k < scores.classes; ++k) {
    for (std::size_t i = 0; i < column.size(); ++i) {
      column[i] = at(scores, i, k);
      is_class[i] = scores.truth[i] == k;
    }
    values.push_back(ranking(BinaryScores{column, is_class}));
  }
  return values;
}

}  // namespace

std::vector<std::int64_t> predicted_class(const ClassScores& scores) {
  check(scores.classes > 0, "class scores without classes");
  std::vector<std::int64_t> predicted;
  for (std::size_t i = 0; i < scores.truth.size(); ++i) {
    const auto row = scores.probability.subspan(i * static_cast<std::size_t>(scores.classes), static_cast<std::size_t>(scores.classes));
    predicted.push_back(std::max_element(row.begin(), row.end()) - row.begin());
  }
  return predicted;
}

std::vector<Metric> auroc_by_class(const ClassScores& scores) { return each_class(scores, auroc); }
std::vector<Metric> average_precision_by_class(const ClassScores& scores) { return each_class(scores, average_precision); }

std::vector<std::int64_t> confusion_matrix(std::span<const std::int64_t> truth, std::span<const std::int64_t> decided, std::int64_t classes) {
  std::vector<std::int64_t> matrix(static_cast<std::size_t>(classes * classes), 0);
  for (std::size_t i = 0; i < decided.size(); ++i) ++matrix[static_cast<std::size_t>(truth[i] * classes + decided[i])];
  return matrix;
}

std::vector<std::int64_t> confusion_matrix(const ClassScores& scores) { return confusion_matrix(scores.truth, predicted_class(scores), scores.classes); }

std::vector<BinaryCounts> counts_by_class(const ClassScores& scores) { return counts_by_class(confusion_matrix(scores), scores.classes); }

std::vector<BinaryCounts> counts_by_class(std::span<const std::int64_t> matrix, std::int64_t number_of_classes) {
  const auto classes = static_cast<std::size_t>(number_of_classes);
  std::vector<BinaryCounts> counts(classes);
  for (std::size_t truth = 0; truth < classes; ++truth)
    for (std::size_t predicted = 0; predicted < classes; ++predicted)
      for (std::size_t k = 0; k < classes; ++k) {
        std::int64_t& cell = k == truth ? (k == predicted ? counts[k].true_positive : counts[k].false_negative)
                                        : (k == predicted ? counts[k].false_positive : counts[k].true_negative);
        cell += matrix[truth * classes + predicted];
      }
  return counts;
}

Metric brier(const ClassScores& scores) {
  double sum = 0;
  for (std::size_t i = 0; i < scores.truth.size(); ++i)
    for (std::int64_t k = 0; k < scores.classes; ++k) sum += std::pow(at(scores, i, k) - (scores.truth[i] == k ? 1 : 0), 2);
  return scores.truth.empty() ? std::nullopt : Metric(sum / static_cast<double>(scores.truth.size()));
}

Metric log_loss(const ClassScores& scores) {
  std::vector<double> of_truth;
  for (std::size_t i = 0; i < scores.truth.size(); ++i) of_truth.push_back(at(scores, i, scores.truth[i]));
  return log_loss(BinaryScores{of_truth, std::vector<std::uint8_t>(of_truth.size(), 1)});
}

Metric calibration_error(const ClassScores& scores) {
  const std::vector<std::int64_t> predicted = predicted_class(scores);
  std::vector<double> confidence;
  std::vector<std::uint8_t> correct;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    confidence.push_back(at(scores, i, predicted[i]));
    correct.push_back(predicted[i] == scores.truth[i]);
  }
  return calibration_error(confidence, correct);
}

}  // namespace tributary
