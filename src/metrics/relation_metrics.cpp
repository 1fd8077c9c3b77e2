#include "metrics/relation_metrics.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

std::span<const double> row_of(const ClassScores& scores, std::size_t row) {
  const auto classes = static_cast<std::size_t>(scores.classes);
  return scores.probability.subspan(row * classes, classes);
}

double related(const ClassScores& scores, std::size_t row) { return 1 - row_of(scores, row)[0]; }

std::int64_t most_probable(std::span<const double> row, std::size_t first) {
  return std::max_element(row.begin() + static_cast<std::ptrdiff_t>(first), row.end()) - row.begin();
}

std::span<const Metric> without_none(const std::vector<Metric>& by_class) { return std::span(by_class).subspan(1); }

}  // namespace

std::vector<std::int64_t> decided_classes(const ClassScores& scores, std::optional<double> threshold) {
  check(scores.classes >= 2, "a relation task of {} classes", scores.classes);
  std::vector<std::int64_t> decided;
  for (std::size_t i = 0; i < scores.truth.size(); ++i) {
    if (threshold)
      decided.push_back(related(scores, i) >= *threshold ? most_probable(row_of(scores, i), 1) : 0);
    else
      decided.push_back(most_probable(row_of(scores, i), 0));
  }
  return decided;
}

NamedMetrics decision_values(std::span<const std::int64_t> truth, std::span<const std::int64_t> decided, std::int64_t classes) {
  const std::vector<BinaryCounts> counts = counts_by_class(confusion_matrix(truth, decided, classes), classes);
  const std::span<const BinaryCounts> relations = std::span(counts).subspan(1);
  const BinaryCounts all = pooled(counts), micro = pooled(relations);
  return {{"accuracy", sensitivity(all)},  // a wrong pair is one false negative of its class
          {"precision_micro", precision(micro)},
          {"recall_micro", sensitivity(micro)},
          {"f1_micro", f1(micro)},
          {"precision_macro", macro_precision(relations)},
          {"recall_macro", macro_sensitivity(relations)},
          {"f1_macro", macro_f1(relations)},
          {"f1_micro_with_none", f1(all)},
          {"f1_macro_with_none", macro_f1(counts)}};
}

NamedMetrics relation_values(const ClassScores& scores) {
  NamedMetrics values = {{"auroc", mean_defined(without_none(auroc_by_class(scores)))},
                         {"auprc", mean_defined(without_none(average_precision_by_class(scores)))}};
  const NamedMetrics decisions = decision_values(scores.truth, decided_classes(scores), scores.classes);
  values.insert(values.end(), decisions.begin(), decisions.end());
  values.insert(values.end(), {{"ece", calibration_error(scores)}, {"brier", brier(scores)}, {"log_loss", log_loss(scores)}});
  return values;
}

std::optional<double> best_threshold(const ClassScores& scores) {
  check(scores.classes >= 2, "a relation task of {} classes", scores.classes);
  const auto total = std::count_if(scores.truth.begin(), scores.truth.end(), [](std::int64_t truth) { return truth != 0; });
  if (total == 0) return std::nullopt;
  std::vector<std::size_t> order(scores.truth.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return related(scores, a) > related(scores, b); });
  std::int64_t right = 0;
  double best = 0;
  std::optional<double> threshold;
  for (std::size_t taken = 1; taken <= order.size(); ++taken) {
    const std::size_t row = order[taken - 1];
    if (most_probable(row_of(scores, row), 1) == scores.truth[row]) ++right;
    const double score = related(scores, row), next = taken < order.size() ? related(scores, order[taken]) : score;
    if (taken < order.size() && next == score) continue;  // equals enter together
    const double found = 2 * static_cast<double>(right) / static_cast<double>(static_cast<std::int64_t>(taken) + total);
    if (threshold && found <= best) continue;
    best = found;
    threshold = (score + next) / 2;
  }
  return threshold;
}

}  // namespace tributary
