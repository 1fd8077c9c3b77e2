#include "metrics/scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

constexpr double smallest_probability = 1e-15;  // log loss of a certain and wrong prediction stays finite
constexpr int calibration_bins = 15;

std::vector<std::size_t> by_score(std::span<const double> score, bool descending) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (descending)
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
  else
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] < score[b]; });
  return order;
}

// AUROC where record order[i] counts weight[order[i]] times; whole numbers throughout, so exact: pairs are counted in halves.
Metric weighted_auroc(const BinaryScores& scores, std::span<const std::size_t> ascending, std::span<const std::uint32_t> weight) {
  std::uint64_t negatives_below = 0, positives = 0;
  double half_pairs = 0;
  for (std::size_t begin = 0; begin < ascending.size();) {
    std::uint64_t tied_positives = 0, tied_negatives = 0;
    std::size_t end = begin;
    for (; end < ascending.size() && scores.score[ascending[end]] == scores.score[ascending[begin]]; ++end)
      (scores.truth[ascending[end]] != 0 ? tied_positives : tied_negatives) += weight[ascending[end]];
    half_pairs += static_cast<double>(tied_positives * (2 * negatives_below + tied_negatives));
    negatives_below += tied_negatives;
    positives += tied_positives;
    begin = end;
  }
  if (positives == 0 || negatives_below == 0) return std::nullopt;
  return half_pairs / (2 * static_cast<double>(positives) * static_cast<double>(negatives_below));
}

Metric ratio(double part, double whole) { return whole == 0 ? std::nullopt : Metric(part / whole); }
Metric ratio(std::int64_t part, std::int64_t whole) { return ratio(static_cast<double>(part), static_cast<double>(whole)); }

template <class Value>
Metric mean_over(std::size_t count, Value&& value) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += value(i);
  return ratio(sum, static_cast<double>(count));
}

double loss_of(double probability) { return -std::log(std::max(probability, smallest_probability)); }

double quantile(const std::vector<double>& sorted, double share) {  // linear between neighbours
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Metric auroc(const BinaryScores& scores) {
  const std::vector<std::uint32_t> once(scores.score.size(), 1);
  return weighted_auroc(scores, by_score(scores.score, false), once);
}

Metric average_precision(const BinaryScores& scores) {
  const std::vector<std::size_t> order = by_score(scores.score, true);
  std::int64_t taken = 0, positives = 0;
  double sum = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    std::int64_t tied_positives = 0;
    for (; end < order.size() && scores.score[order[end]] == scores.score[order[begin]]; ++end) tied_positives += scores.truth[order[end]] != 0;
    taken += static_cast<std::int64_t>(end - begin);
    positives += tied_positives;
    sum += static_cast<double>(tied_positives) * static_cast<double>(positives) / static_cast<double>(taken);
    begin = end;
  }
  return ratio(sum, static_cast<double>(positives));
}

std::optional<Interval> auroc_interval(const BinaryScores& scores, const Key& key, int resamples, double level) {
  check(resamples >= 1 && level > 0 && level < 1, "bootstrap: {} resamples at level {}", resamples, level);
  const std::size_t count = scores.score.size();
  const std::vector<std::size_t> order = by_score(scores.score, false);
  std::vector<double> values;
  std::vector<std::uint32_t> weight(count);
  for (std::uint64_t resample = 0; resample < static_cast<std::uint64_t>(resamples); ++resample) {
    std::fill(weight.begin(), weight.end(), 0);
    for (std::uint64_t i = 0; i < count; ++i) ++weight[static_cast<std::size_t>(uniform(key, resample * count + i) * static_cast<double>(count))];
    if (const Metric value = weighted_auroc(scores, order, weight)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return Interval{quantile(values, (1 - level) / 2), quantile(values, (1 + level) / 2)};
}

BinaryCounts count_decisions(const BinaryScores& scores, double threshold) {
  BinaryCounts counts;
  for (std::size_t i = 0; i < scores.score.size(); ++i) {
    const bool positive = scores.score[i] >= threshold;
    if (scores.truth[i] != 0)
      ++(positive ? counts.true_positive : counts.false_negative);
    else
      ++(positive ? counts.false_positive : counts.true_negative);
  }
  return counts;
}

Metric accuracy(const BinaryCounts& c) { return ratio(c.true_positive + c.true_negative, c.total()); }
Metric sensitivity(const BinaryCounts& c) { return ratio(c.true_positive, c.true_positive + c.false_negative); }
Metric specificity(const BinaryCounts& c) { return ratio(c.true_negative, c.true_negative + c.false_positive); }
Metric precision(const BinaryCounts& c) { return ratio(c.true_positive, c.true_positive + c.false_positive); }
Metric f1(const BinaryCounts& c) { return ratio(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative); }

Metric brier(const BinaryScores& scores) {
  return mean_over(scores.score.size(), [&](std::size_t i) { return std::pow(scores.score[i] - (scores.truth[i] != 0 ? 1 : 0), 2); });
}

Metric log_loss(const BinaryScores& scores) {
  return mean_over(scores.score.size(), [&](std::size_t i) { return loss_of(scores.truth[i] != 0 ? scores.score[i] : 1 - scores.score[i]); });
}

Metric calibration_error(std::span<const double> confidence, std::span<const std::uint8_t> correct) {
  struct Bin {
    double confidence = 0;
    double correct = 0;
  };
  std::vector<Bin> bins(calibration_bins);
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    Bin& bin = bins[static_cast<std::size_t>(std::clamp(static_cast<int>(std::floor(calibration_bins * confidence[i])), 0, calibration_bins - 1))];
    bin.confidence += confidence[i];
    bin.correct += correct[i] != 0 ? 1 : 0;
  }
  double sum = 0;
  for (const Bin& bin : bins) sum += std::abs(bin.correct - bin.confidence);  // |accuracy - mean confidence| x records of the bin
  return ratio(sum, static_cast<double>(confidence.size()));
}

Metric mean_defined(std::span<const Metric> values) {
  double sum = 0;
  std::int64_t count = 0;
  for (const Metric& value : values)
    if (value) {
      sum += *value;
      ++count;
    }
  return ratio(sum, static_cast<double>(count));
}

BinaryCounts pooled(std::span<const BinaryCounts> by_class) {
  BinaryCounts sum;
  for (const BinaryCounts& c : by_class) {
    sum.true_positive += c.true_positive;
    sum.false_positive += c.false_positive;
    sum.true_negative += c.true_negative;
    sum.false_negative += c.false_negative;
  }
  return sum;
}

namespace {

Metric macro(std::span<const BinaryCounts> by_class, Metric (*metric)(const BinaryCounts&)) {
  std::vector<Metric> values;
  for (const BinaryCounts& counts : by_class) values.push_back(metric(counts));
  return mean_defined(values);
}

}  // namespace

Metric macro_f1(std::span<const BinaryCounts> by_class) { return macro(by_class, f1); }
Metric macro_sensitivity(std::span<const BinaryCounts> by_class) { return macro(by_class, sensitivity); }
Metric macro_specificity(std::span<const BinaryCounts> by_class) { return macro(by_class, specificity); }
Metric macro_precision(std::span<const BinaryCounts> by_class) { return macro(by_class, precision); }

Metric mean_absolute_error(const Regression& values) {
  return mean_over(values.truth.size(), [&](std::size_t i) { return std::abs(values.prediction[i] - values.truth[i]); });
}

Metric root_mean_square_error(const Regression& values) {
  const Metric square = mean_over(values.truth.size(), [&](std::size_t i) { return std::pow(values.prediction[i] - values.truth[i], 2); });
  return square ? Metric(std::sqrt(*square)) : std::nullopt;
}

Metric r_squared(const Regression& values) {
  const Metric mean = mean_over(values.truth.size(), [&](std::size_t i) { return values.truth[i]; });
  if (!mean) return std::nullopt;
  double residual = 0, total = 0;
  for (std::size_t i = 0; i < values.truth.size(); ++i) {
    residual += std::pow(values.prediction[i] - values.truth[i], 2);
    total += std::pow(values.truth[i] - *mean, 2);
  }
  const auto [low, high] = std::minmax_element(values.truth.begin(), values.truth.end());
  return *low == *high ? std::nullopt : Metric(1 - residual / total);
}

}  // namespace tributary
