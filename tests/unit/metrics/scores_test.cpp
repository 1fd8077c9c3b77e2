#include "metrics/scores.h"

#include <gmock/gmock.h>

#include <cmath>

namespace tributary {
namespace {

using Truth = std::vector<std::uint8_t>;
using Values = std::vector<double>;

TEST(Auroc, counts_pairs_with_ties_as_one_half) {
  // positives 0.8, 0.5, 0.5; negatives 0.5, 0.3: wins 2 + 1.5 + 1.5 of 6
  const Values score = {0.8, 0.5, 0.5, 0.5, 0.3};
  const Truth truth = {1, 1, 0, 1, 0};
  EXPECT_DOUBLE_EQ(*auroc({score, truth}), 5.0 / 6);
}

TEST(Auroc, is_one_half_for_a_constant_and_one_for_a_perfect_order) {
  EXPECT_DOUBLE_EQ(*auroc({Values{0.4, 0.4, 0.4}, Truth{1, 0, 0}}), 0.5);
  EXPECT_DOUBLE_EQ(*auroc({Values{0.1, 0.2, 0.9}, Truth{0, 0, 1}}), 1);
  EXPECT_DOUBLE_EQ(*auroc({Values{0.9, 0.8, 0.1}, Truth{0, 0, 1}}), 0);
}

TEST(Auroc, is_undefined_without_both_classes) {
  EXPECT_FALSE(auroc({Values{0.1, 0.2}, Truth{1, 1}}));
  EXPECT_FALSE(auroc({Values{0.1, 0.2}, Truth{0, 0}}));
  EXPECT_FALSE(auroc({Values{}, Truth{}}));
}

TEST(AveragePrecision, takes_tied_scores_together) {
  // thresholds: {0.9: +}, {0.7: + -}, {0.2: + - -}: 1/3 * 1 + 1/3 * 2/3 + 1/3 * 3/6
  const Values score = {0.9, 0.7, 0.7, 0.2, 0.2, 0.2};
  const Truth truth = {1, 1, 0, 0, 1, 0};
  EXPECT_DOUBLE_EQ(*average_precision({score, truth}), (1 + 2.0 / 3 + 0.5) / 3);
  const Values mirrored = {0.2, 0.2, 0.2, 0.7, 0.7, 0.9};
  const Truth other_order = {1, 0, 0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(*average_precision({mirrored, other_order}), (1 + 2.0 / 3 + 0.5) / 3);
}

TEST(AveragePrecision, is_the_prevalence_for_a_constant_and_undefined_without_positives) {
  EXPECT_DOUBLE_EQ(*average_precision({Values{0.3, 0.3, 0.3, 0.3}, Truth{1, 0, 0, 0}}), 0.25);
  EXPECT_FALSE(average_precision({Values{0.3, 0.4}, Truth{0, 0}}));
}

TEST(Decisions, are_made_at_one_half_inclusive) {
  const BinaryCounts counts = count_decisions({Values{0.5, 0.49, 0.9, 0.1, 0.7}, Truth{1, 1, 0, 0, 1}});
  EXPECT_EQ(counts.true_positive, 2);
  EXPECT_EQ(counts.false_negative, 1);
  EXPECT_EQ(counts.false_positive, 1);
  EXPECT_EQ(counts.true_negative, 1);
  EXPECT_DOUBLE_EQ(*accuracy(counts), 0.6);
  EXPECT_DOUBLE_EQ(*sensitivity(counts), 2.0 / 3);
  EXPECT_DOUBLE_EQ(*specificity(counts), 0.5);
  EXPECT_DOUBLE_EQ(*precision(counts), 2.0 / 3);
  EXPECT_DOUBLE_EQ(*f1(counts), 2.0 / 3);
}

TEST(Decisions, leave_ratios_without_a_denominator_undefined) {
  const BinaryCounts only_negatives = count_decisions({Values{0.1, 0.2}, Truth{0, 0}});
  EXPECT_FALSE(sensitivity(only_negatives));
  EXPECT_FALSE(precision(only_negatives));
  EXPECT_FALSE(f1(only_negatives));
  EXPECT_DOUBLE_EQ(*specificity(only_negatives), 1);
  EXPECT_FALSE(accuracy(BinaryCounts{}));
}

TEST(Brier, is_the_mean_square_for_two_classes_and_the_sum_over_classes_for_more) {
  EXPECT_DOUBLE_EQ(*brier(BinaryScores{Values{0.75, 0.5}, Truth{1, 0}}), (0.0625 + 0.25) / 2);
  const Values probability = {0.5, 0.25, 0.25, 0, 1, 0};
  const std::vector<std::int64_t> truth = {0, 2};
  EXPECT_DOUBLE_EQ(*brier(ClassScores{probability, truth, 3}), (0.25 + 0.0625 + 0.0625 + 1 + 1) / 2);
  EXPECT_FALSE(brier(BinaryScores{Values{}, Truth{}}));
}

TEST(LogLoss, stays_finite_for_a_certain_and_wrong_prediction) {
  EXPECT_DOUBLE_EQ(*log_loss(BinaryScores{Values{0.25, 0.5}, Truth{1, 0}}), (std::log(4) + std::log(2)) / 2);
  EXPECT_DOUBLE_EQ(*log_loss(BinaryScores{Values{0}, Truth{1}}), -std::log(1e-15));
}

TEST(CalibrationError, weighs_the_gap_of_each_of_fifteen_bins) {
  // bin 14 (0.95, 1.0): 1 of 2 right, mean 0.975; bin 0 (0.05): 0 of 1 right
  EXPECT_NEAR(*calibration_error(Values{0.95, 1.0, 0.05}, Truth{1, 0, 0}), (2 * (0.975 - 0.5) + 0.05) / 3, 1e-15);
  // 2/15 belongs to bin 2, a little less to bin 1
  EXPECT_NEAR(*calibration_error(Values{2.0 / 15, 0.1333}, Truth{1, 0}), (1 - 2.0 / 15 + 0.1333) / 2, 1e-15);
  EXPECT_FALSE(calibration_error(Values{}, Truth{}));
}

class ThreeClasses : public testing::Test {
 protected:
  // predictions: 0, 1, 0 (tie with 1: the lowest), 1; class 2 neither present nor predicted
  Values probability_ = {0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.45, 0.45, 0.1, 0.3, 0.6, 0.1};
  std::vector<std::int64_t> truth_ = {0, 1, 1, 0};
  ClassScores scores_{probability_, truth_, 3};
};

TEST_F(ThreeClasses, break_ties_towards_the_lowest_class) { EXPECT_THAT(predicted_class(scores_), testing::ElementsAre(0, 1, 0, 1)); }

TEST_F(ThreeClasses, have_truth_down_and_prediction_across) { EXPECT_THAT(confusion_matrix(scores_), testing::ElementsAre(1, 1, 0, 1, 1, 0, 0, 0, 0)); }

TEST_F(ThreeClasses, average_over_what_is_present) {
  const std::vector<BinaryCounts> counts = counts_by_class(scores_);
  EXPECT_DOUBLE_EQ(*macro_f1(counts), 0.5);  // class 2 is left out, not counted as 0
  EXPECT_DOUBLE_EQ(*macro_sensitivity(counts), 0.5);
  EXPECT_DOUBLE_EQ(*macro_specificity(counts), (0.5 + 0.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(*f1(pooled(counts)), 0.5);
}

TEST_F(ThreeClasses, rank_each_class_against_the_rest) {
  const std::vector<Metric> values = auroc_by_class(scores_);
  ASSERT_EQ(values.size(), 3U);
  EXPECT_DOUBLE_EQ(*values[0], 0.75);  // 0.7, 0.3 against 0.1, 0.45
  EXPECT_DOUBLE_EQ(*values[1], 0.75);  // 0.8, 0.45 against 0.2, 0.6
  EXPECT_FALSE(values[2]);
  EXPECT_DOUBLE_EQ(*mean_defined(values), 0.75);
  EXPECT_FALSE(average_precision_by_class(scores_)[2]);
}

TEST_F(ThreeClasses, are_calibrated_on_the_confidence_of_the_prediction) {
  // bins: 0.7 -> 10 (right), 0.8 -> 12 (right), 0.45 -> 6 (wrong), 0.6 -> 9 (wrong)
  EXPECT_NEAR(*calibration_error(scores_), (0.3 + 0.2 + 0.45 + 0.6) / 4, 1e-12);
}

TEST(Regression, has_hand_computed_errors) {
  const Values prediction = {1, 2, 4}, truth = {1, 3, 2};
  EXPECT_DOUBLE_EQ(*mean_absolute_error({prediction, truth}), 1);
  EXPECT_DOUBLE_EQ(*root_mean_square_error({prediction, truth}), std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(*r_squared({prediction, truth}), 1 - 5.0 / 2);
  EXPECT_FALSE(r_squared({Values{1, 2}, Values{0.1, 0.1}}));
  EXPECT_FALSE(mean_absolute_error({Values{}, Values{}}));
}

TEST(Bootstrap, contains_the_estimate_narrows_with_records_and_repeats_by_key) {
  const auto sample = [](int count) {
    std::pair<Values, Truth> data;
    const Key key = derive_key(Draw::synth, {3});
    for (int i = 0; i < count; ++i) {
      data.second.push_back(i % 3 == 0);
      data.first.push_back(uniform(key, static_cast<std::uint64_t>(i)) + (i % 3 == 0 ? 0.3 : 0));
    }
    return data;
  };
  const Key key = derive_key(Draw::bootstrap, {1});
  const auto [few, few_truth] = sample(60);
  const auto [many, many_truth] = sample(6000);
  const Interval wide = *auroc_interval({few, few_truth}, key, 400), narrow = *auroc_interval({many, many_truth}, key, 400);
  const double estimate = *auroc({many, many_truth});
  EXPECT_LT(narrow.low, estimate);
  EXPECT_GT(narrow.high, estimate);
  EXPECT_LT(5 * (narrow.high - narrow.low), wide.high - wide.low);
  // Hanley and McNeil (1982): the standard error from the estimate alone
  const double q1 = estimate / (2 - estimate), q2 = 2 * estimate * estimate / (1 + estimate), positives = 2000, negatives = 4000;
  const double error = std::sqrt((estimate * (1 - estimate) + (positives - 1) * (q1 - estimate * estimate) + (negatives - 1) * (q2 - estimate * estimate)) /
                                 (positives * negatives));
  EXPECT_NEAR(narrow.high - narrow.low, 2 * 1.96 * error, 0.25 * 2 * 1.96 * error);
  const Interval again = *auroc_interval({many, many_truth}, key, 400);
  EXPECT_EQ(narrow.low, again.low);
  EXPECT_NE(narrow.low, auroc_interval({many, many_truth}, derive_key(Draw::bootstrap, {2}), 400)->low);
  EXPECT_FALSE(auroc_interval({Values{0.1, 0.2}, Truth{1, 1}}, key, 10));
}

}  // namespace
}  // namespace tributary
