// Relation scores against a count over sets of (pair, class), as document-level evaluation is defined.
#include "metrics/relation_metrics.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "base/key.h"
#include "metrics/predictions.h"
#include "metrics/task_metrics.h"

namespace tributary {
namespace {

struct Pairs {
  std::vector<double> probability;
  std::vector<std::int64_t> truth;
  std::int64_t classes;
  [[nodiscard]] ClassScores scores() const { return {probability, truth, classes}; }
};

// Rare relations with informative scores, many of them equal.
Pairs invented(std::int64_t classes, std::size_t count, std::uint64_t seed) {
  const Key key = derive_key(Draw::synth, {seed});
  std::uint64_t next = 0;
  const auto draw = [&] { return uniform(key, next++); };
  Pairs pairs{{}, {}, classes};
  for (std::size_t i = 0; i < count; ++i) {
    const auto truth = draw() < 0.3 ? 1 + static_cast<std::int64_t>(draw() * static_cast<double>(classes - 1)) : 0;
    pairs.truth.push_back(truth);
    std::vector<double> row;
    double sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      row.push_back(static_cast<double>(static_cast<int>(draw() * 16)) / 16 + 0.0625 + (k == truth ? 0.4 : 0));
      sum += row.back();
    }
    for (const double value : row) pairs.probability.push_back(as_written(value / sum));
  }
  return pairs;
}

using Facts = std::set<std::pair<std::size_t, std::int64_t>>;  // (pair, class) that is said to be true

Facts facts_of(const std::vector<std::int64_t>& classes, std::int64_t lowest, std::int64_t only = -1) {
  Facts facts;
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i] >= lowest && (only < 0 || classes[i] == only)) facts.insert({i, classes[i]});
  return facts;
}

struct Scored {
  double precision, recall, f1;
};

Scored score(const Facts& told, const Facts& true_ones) {
  Facts right;
  std::set_intersection(told.begin(), told.end(), true_ones.begin(), true_ones.end(), std::inserter(right, right.end()));
  const double hits = static_cast<double>(right.size());
  return {hits / static_cast<double>(told.size()), hits / static_cast<double>(true_ones.size()),
          2 * hits / static_cast<double>(told.size() + true_ones.size())};
}

double named(const NamedMetrics& values, const std::string& name) {
  for (const auto& [key, value] : values)
    if (key == name) return value.value_or(-1);
  ADD_FAILURE() << "no metric " << name;
  return -2;
}

TEST(RelationMetrics, equal_a_count_over_sets_of_pairs_and_classes) {
  for (const std::int64_t classes : {2, 4}) {
    const Pairs pairs = invented(classes, 400, static_cast<std::uint64_t>(classes));
    for (const std::optional<double> threshold : {std::optional<double>(), std::optional<double>(0.6), std::optional<double>(0.85)}) {
      const std::vector<std::int64_t> decided = decided_classes(pairs.scores(), threshold);
      const NamedMetrics found = decision_values(pairs.truth, decided, classes);
      const Scored micro = score(facts_of(decided, 1), facts_of(pairs.truth, 1)), with_none = score(facts_of(decided, 0), facts_of(pairs.truth, 0));
      ASSERT_GT(micro.f1, 0.1);
      EXPECT_DOUBLE_EQ(named(found, "precision_micro"), micro.precision);
      EXPECT_DOUBLE_EQ(named(found, "recall_micro"), micro.recall);
      EXPECT_DOUBLE_EQ(named(found, "f1_micro"), micro.f1);
      EXPECT_DOUBLE_EQ(named(found, "f1_micro_with_none"), with_none.f1);
      EXPECT_DOUBLE_EQ(named(found, "accuracy"), with_none.recall);
      Scored macro{0, 0, 0};
      double none = 0;
      for (std::int64_t k = 0; k < classes; ++k) {
        const Scored one = score(facts_of(decided, 0, k), facts_of(pairs.truth, 0, k));
        if (k == 0) none = one.f1;
        if (k == 0) continue;
        const double share = 1 / static_cast<double>(classes - 1);
        macro = {macro.precision + share * one.precision, macro.recall + share * one.recall, macro.f1 + share * one.f1};
      }
      EXPECT_NEAR(named(found, "precision_macro"), macro.precision, 1e-12);
      EXPECT_NEAR(named(found, "recall_macro"), macro.recall, 1e-12);
      EXPECT_NEAR(named(found, "f1_macro"), macro.f1, 1e-12);
      EXPECT_NEAR(named(found, "f1_macro_with_none"), (macro.f1 * static_cast<double>(classes - 1) + none) / static_cast<double>(classes), 1e-12);
    }
  }
}

TEST(RelationMetrics, decide_by_the_most_probable_class_or_by_a_threshold_on_any_relation) {
  const Pairs pairs{{0.5, 0.3, 0.2, 0.4, 0.35, 0.25, 0.2, 0.4, 0.4, 0.9, 0.04, 0.06}, {0, 0, 0, 0}, 3};
  EXPECT_EQ(decided_classes(pairs.scores()), (std::vector<std::int64_t>{0, 0, 1, 0}));
  EXPECT_EQ(decided_classes(pairs.scores(), 0.5), (std::vector<std::int64_t>{1, 1, 1, 0}));
  EXPECT_EQ(decided_classes(pairs.scores(), 0.7), (std::vector<std::int64_t>{0, 0, 1, 0}));
  EXPECT_EQ(decided_classes(pairs.scores(), 0.05), (std::vector<std::int64_t>{1, 1, 1, 2}));
}

TEST(RelationMetrics, find_the_threshold_that_no_other_beats) {
  for (const std::int64_t classes : {2, 3, 5}) {
    const Pairs pairs = invented(classes, 150, 40 + static_cast<std::uint64_t>(classes));
    const std::optional<double> threshold = best_threshold(pairs.scores());
    ASSERT_TRUE(threshold);
    const auto f1_at = [&](double at) { return named(decision_values(pairs.truth, decided_classes(pairs.scores(), at), classes), "f1_micro"); };
    const double best = f1_at(*threshold);
    std::set<double> others;
    for (std::size_t row = 0; row < pairs.truth.size(); ++row) {
      const double score = 1 - pairs.probability[row * static_cast<std::size_t>(classes)];
      others.insert(f1_at(score));
      EXPECT_LE(*others.rbegin(), best);
    }
    EXPECT_GT(others.size(), 20U) << "the threshold matters";
    EXPECT_DOUBLE_EQ(*others.rbegin(), best);
  }
}

TEST(RelationMetrics, are_undefined_without_relations) {
  const Pairs none{{0.9, 0.1, 0.8, 0.2}, {0, 0}, 2};
  EXPECT_FALSE(best_threshold(none.scores()));
  const NamedMetrics values = relation_values(none.scores());
  for (const char* name : {"auroc", "auprc", "precision_micro", "recall_micro", "f1_micro", "f1_macro"})
    EXPECT_THAT(values, testing::Contains(testing::Pair(name, Metric()))) << name;
  EXPECT_DOUBLE_EQ(named(values, "accuracy"), 1);
  EXPECT_DOUBLE_EQ(named(values, "f1_micro_with_none"), 1);
}

TEST(RelationMetrics, of_a_task_hold_decisions_at_the_threshold_that_was_given) {
  const Task task{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}};
  const Pairs pairs = invented(2, 200, 9);
  const std::vector<double> label(pairs.truth.begin(), pairs.truth.end());
  const std::vector<std::uint8_t> valid(label.size(), 1);
  const TaskMetrics metrics = evaluate_task(task, std::vector<double>{0.8, 0.2}, pairs.probability, label, valid, false, 0.6);
  ASSERT_TRUE(metrics.at_threshold);
  EXPECT_EQ(metrics.at_threshold->threshold, 0.6);
  EXPECT_EQ(metrics.at_threshold->values, decision_values(pairs.truth, decided_classes(pairs.scores(), 0.6), 2));
  EXPECT_EQ(metrics.best_threshold, best_threshold(pairs.scores()));
  EXPECT_EQ(metrics.values, relation_values(pairs.scores()));
  EXPECT_EQ(metrics.positives,
            (std::vector<std::int64_t>{std::count(pairs.truth.begin(), pairs.truth.end(), 0), std::count(pairs.truth.begin(), pairs.truth.end(), 1)}));
  EXPECT_FALSE(evaluate_task(task, std::vector<double>{0.8, 0.2}, pairs.probability, label, valid, false).at_threshold);
}

TEST(Predictions, of_a_relation_name_document_head_and_tail) {
  const Task task{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}};
  const std::string id = pair_id("doc,1", "D1", "D2");
  EXPECT_EQ(prediction_lines(id, "test", task, std::vector<double>{0.75, 0.25}, std::vector<double>{1}, true),
            "\"doc,1|D1|D2\",test,causes,none,0,0.75\n\"doc,1|D1|D2\",test,causes,causes,1,0.25\n");
}

}  // namespace
}  // namespace tributary
