#include "metrics/task_metrics.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "metrics/predictions.h"

namespace tributary {
namespace {

using Values = std::vector<double>;
using Valid = std::vector<std::uint8_t>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const Task death{"death", TaskKind::binary, {"alive", "dead, \"in hospital\""}};
const Task stay{"stay", TaskKind::multiclass, {"short", "middle", "long"}};
const Task signs{"signs", TaskKind::multilabel, {"a", "b"}};
const Task days{"days", TaskKind::regression, {}};

LabelCounts unlabelled(const Task& task) {
  LabelCounts counts;
  counts.classes.resize(task.classes.size());
  return counts;
}

TEST(TaskMetrics, ignore_records_without_a_label_whatever_they_hold) {
  const TaskMetrics all = evaluate_task(death, Values{0.25}, Values{0.8, 0.2, 0.6}, Values{1, 0, 0}, Valid{1, 1, 1});
  const TaskMetrics with_gaps = evaluate_task(death, Values{0.25}, Values{0.8, nan, 0.2, 0.6}, Values{1, nan, 0, 0}, Valid{1, 0, 1, 1});
  EXPECT_EQ(all.records, 3);
  EXPECT_EQ(with_gaps.records, 3);
  EXPECT_EQ(with_gaps.missing, 1);
  EXPECT_EQ(all.values, with_gaps.values);
  EXPECT_EQ(with_gaps.positives, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(with_gaps.confusion, (std::vector<std::int64_t>{1, 1, 0, 1}));
}

TEST(TaskMetrics, of_masked_tokens_are_loss_perplexity_and_accuracy) {
  const Task masked{"masked_tokens", TaskKind::masked_token, {}};
  const TaskMetrics metrics = evaluate_task(masked, {}, Values{0.5, 1, 2, 0, 3.5, 0, 0, 1}, Values{17, 30000, 0, 5}, Valid{1, 1, 1, 1});
  EXPECT_EQ(metrics.records, 4);
  EXPECT_THAT(metrics.values, testing::ElementsAre(testing::Pair("loss", testing::Optional(1.5)), testing::Pair("perplexity", testing::Optional(std::exp(1.5))),
                                                   testing::Pair("accuracy", testing::Optional(0.5))));
  const auto json = nlohmann::json::parse(metrics_json(std::vector{metrics}));
  EXPECT_EQ(json["tasks"]["masked_tokens"],
            nlohmann::json::parse(R"({"kind": "masked_token", "tokens": 4, "metrics": {"loss": 1.5, "perplexity": 4.4816890703380645, "accuracy": 0.5}})"));
  const TaskMetrics none = evaluate_task(masked, {}, {}, {}, {});
  EXPECT_EQ(none.records, 0);
  EXPECT_EQ(metric_named(none, "perplexity"), std::nullopt);
}

TEST(TaskMetrics, take_the_class_prior_from_the_training_labels_alone) {
  LabelCounts counts;
  counts.valid = {8, 100, 100};
  counts.classes = {{6, 0, 0}, {2, 100, 100}};
  EXPECT_EQ(training_frequencies(death, counts), Values{0.25});
  EXPECT_EQ(training_frequencies(signs, counts), (Values{0.75, 0.25}));
  counts.classes = {{4, 0, 0}, {2, 0, 0}, {2, 100, 100}};
  EXPECT_EQ(training_frequencies(stay, counts), (Values{0.5, 0.25, 0.25}));
  EXPECT_EQ(training_frequencies(days, {}), Values{});
  EXPECT_EQ(training_frequencies(death, unlabelled(death)), Values{0.5});
  EXPECT_EQ(training_frequencies(stay, unlabelled(stay)), Values(3, 1.0 / 3));
  EXPECT_EQ(training_frequencies(signs, unlabelled(signs)), Values(2, 0.5));
  const TaskMetrics metrics = evaluate_task(death, Values{0.25}, Values{0.8, 0.2}, Values{1, 1}, Valid{1, 1});  // other frequencies than in training
  EXPECT_THAT(metrics.class_prior, testing::Contains(testing::Pair("brier", testing::Optional(testing::DoubleEq(0.75 * 0.75)))));
}

TEST(TaskMetrics, stand_beside_the_class_prior) {
  const TaskMetrics metrics = evaluate_task(death, Values{0.25}, Values{0.8, 0.2, 0.6, 0.1}, Values{1, 0, 0, 0}, Valid{1, 1, 1, 1});
  const auto prior = [&](const std::string& name) {
    for (const auto& [key, value] : metrics.class_prior)
      if (key == name) return value;
    return Metric();
  };
  EXPECT_DOUBLE_EQ(*prior("auroc"), 0.5);
  EXPECT_DOUBLE_EQ(*prior("auprc"), 0.25);
  EXPECT_DOUBLE_EQ(*prior("accuracy"), 0.75);
  EXPECT_DOUBLE_EQ(*prior("brier"), 0.25 * 0.75);
  EXPECT_DOUBLE_EQ(*prior("ece"), 0);
  EXPECT_FALSE(prior("precision"));
  EXPECT_DOUBLE_EQ(*metric_named(metrics, "auroc"), 1);
}

TEST(TaskMetrics, are_undefined_and_say_so_when_nothing_is_labelled) {
  for (const Task& task : {death, stay, signs, days}) {
    const auto outputs = static_cast<std::size_t>(task.output_width()), labels = static_cast<std::size_t>(task.label_width());
    const TaskMetrics metrics = evaluate_task(task, training_frequencies(task, unlabelled(task)), Values(outputs, 0.5), Values(labels, 0), Valid{0});
    ASSERT_FALSE(metrics.values.empty());
    for (const auto& [name, value] : metrics.values) EXPECT_FALSE(value) << task.name << " " << name;
    for (const auto& [name, value] : metrics.class_prior) EXPECT_FALSE(value) << task.name << " " << name;
    const std::vector<TaskMetrics> tasks = {metrics};
    const auto json = nlohmann::json::parse(metrics_json(tasks));
    const std::string first = task.kind == TaskKind::regression ? "mae" : "auroc";
    EXPECT_EQ(json.at("tasks").at(task.name).at("metrics").at(first), "undefined");
  }
  EXPECT_EQ(shown(std::nullopt), "undefined");
  EXPECT_EQ(shown(0.83124), "0.8312");
}

TEST(TaskMetrics, of_several_labels_treat_each_class_as_a_task) {
  // class a: perfect order; class b: no positives
  const TaskMetrics metrics = evaluate_task(signs, Values{0.5, 0.5}, Values{0.9, 0.6, 0.1, 0.2}, Values{1, 0, 0, 0}, Valid{1, 1});
  EXPECT_DOUBLE_EQ(*metric_named(metrics, "auroc"), 1);
  ASSERT_EQ(metrics.auroc_by_class.size(), 2U);
  EXPECT_FALSE(metrics.auroc_by_class[1]);
  EXPECT_DOUBLE_EQ(*metric_named(metrics, "accuracy"), 0.75);
  EXPECT_DOUBLE_EQ(*metric_named(metrics, "f1_macro"), 0.5);  // 1 and 0 (class b is predicted)
  EXPECT_DOUBLE_EQ(*metric_named(metrics, "f1_micro"), 2.0 / 3);
  EXPECT_EQ(metrics.confusion, (std::vector<std::int64_t>{1, 0, 0, 1, 1, 1, 0, 0}));
}

TEST(TaskMetrics, refuse_what_cannot_be_measured) {
  const auto kind_of = [](const Task& task, const Values& probability, const Values& label) {
    try {
      static_cast<void>(evaluate_task(task, training_frequencies(task, unlabelled(task)), probability, label, Valid{1}));
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::preempted;
  };
  EXPECT_EQ(kind_of(death, {nan}, {1}), ErrorKind::numerical);
  EXPECT_EQ(kind_of(death, {0.5}, {2}), ErrorKind::data);
  EXPECT_EQ(kind_of(stay, {0.5, 0.2, 0.3}, {3}), ErrorKind::data);
  EXPECT_EQ(kind_of(stay, {0.5, 0.2, 0.3}, {0.5}), ErrorKind::data);
  EXPECT_EQ(kind_of(days, {0.5}, {nan}), ErrorKind::data);
  EXPECT_EQ(kind_of(stay, {0.5, 0.2}, {1}), ErrorKind::internal);
}

TEST(TaskMetrics, average_over_tasks_where_defined) {
  const std::vector<TaskMetrics> tasks = {evaluate_task(death, Values{0.25}, Values{0.8, 0.2}, Values{1, 0}, Valid{1, 1}),
                                          evaluate_task(death, Values{0.25}, Values{0.2, 0.2}, Values{1, 0}, Valid{1, 1}),
                                          evaluate_task(death, Values{0.25}, Values{0.8, 0.2}, Values{1, 1}, Valid{1, 1}),
                                          evaluate_task(days, Values{}, Values{0.8, 0.2}, Values{1, 1}, Valid{1, 1})};
  EXPECT_DOUBLE_EQ(*mean_over_tasks(tasks, "auroc"), 0.75);
}

TEST(Predictions, have_one_line_an_output_and_quote_what_needs_it) {
  EXPECT_EQ(prediction_lines("p,1", "test", death, Values{1.0F / 3.0F}, Values{1}, true), "\"p,1\",test,death,\"dead, \"\"in hospital\"\"\",1,0.333333343\n");
  EXPECT_EQ(prediction_lines("p1", "test", death, Values{0.25}, Values{1}, false), "p1,test,death,\"dead, \"\"in hospital\"\"\",,0.25\n");
  EXPECT_EQ(prediction_lines("p1", "train", stay, Values{0.5, 0.25, 0.25}, Values{2}, true),
            "p1,train,stay,short,0,0.5\np1,train,stay,middle,0,0.25\np1,train,stay,long,1,0.25\n");
  EXPECT_EQ(prediction_lines("p1", "test", signs, Values{0.5, 1e-12}, Values{0, 1}, true), "p1,test,signs,a,0,0.5\np1,test,signs,b,1,1e-12\n");
  EXPECT_EQ(prediction_lines("p1", "test", days, Values{-2.5}, Values{1.75}, true), "p1,test,days,,1.75,-2.5\n");
}

TEST(Predictions, read_back_as_they_are_written) {
  EXPECT_EQ(as_written(0.1234567891), 0.123456789);
  EXPECT_EQ(as_written(static_cast<double>(0.1F)), 0.100000001);
  for (const float value : {0.7F, 0.49999997F, 0.50000006F, 1e-20F}) EXPECT_EQ(static_cast<float>(as_written(static_cast<double>(value))), value);
}

}  // namespace
}  // namespace tributary
