#include "model/layers/losses.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "unit/model/gradients.h"

namespace tributary {
namespace {

using namespace testing_support;

struct LossCase {
  const char* name;
  TaskKind task;
  LossOptions options;
  std::int64_t outputs;
  at::Tensor value;                                                                   // [4, label width]
  std::function<at::Tensor(const at::Tensor& logits, const at::Tensor& value)> rows;  // written by the formula, one number a row or cell
};

at::Tensor side_probability(const at::Tensor& z, const at::Tensor& y) { return at::where(y > 0.5, at::sigmoid(z), 1 - at::sigmoid(z)); }
at::Tensor label_probability(const at::Tensor& z, const at::Tensor& y) { return at::softmax(z, 1).gather(1, y.to(at::kLong)); }

std::vector<LossCase> loss_cases() {
  const at::Tensor binary = at::tensor({1.0, 0.0, 0.0, 1.0}).unsqueeze(1), classes = at::tensor({2.0, 0.0, 1.0, 2.0}).unsqueeze(1);
  const at::Tensor many = at::tensor({1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0}).view({4, 3});
  const at::Tensor days = at::tensor({0.0, 2.5, 40.0, -1.0}).unsqueeze(1);  // a value below 0 counts as 0
  const auto weighted = [](double weight) {
    return [weight](const at::Tensor& z, const at::Tensor& y) { return at::where(y > 0.5, weight, 1.0) * -at::log(side_probability(z, y)); };
  };
  const auto focal = [](const at::Tensor& p, double gamma) { return at::pow(1 - p, gamma) * -at::log(p); };
  const auto generalised = [](const at::Tensor& p, double q) { return (1 - at::pow(p, q)) / q; };
  return {
      {"binary", TaskKind::binary, {.positive_weight = 3}, 1, binary, weighted(3)},
      {"binary generalised",
       TaskKind::binary,
       {.kind = LossKind::generalised_cross_entropy, .q = 0.6},
       1,
       binary,
       [=](const at::Tensor& z, const at::Tensor& y) { return generalised(side_probability(z, y), 0.6); }},
      {"binary focal",
       TaskKind::binary,
       {.kind = LossKind::focal, .gamma = 1.5, .alpha = 0.7},
       1,
       binary,
       [=](const at::Tensor& z, const at::Tensor& y) { return (y * 0.7 + (1 - y) * (1 - 0.7)) * focal(side_probability(z, y), 1.5); }},
      {"classes", TaskKind::multiclass, {}, 3, classes, [](const at::Tensor& z, const at::Tensor& y) { return -at::log(label_probability(z, y)); }},
      {"classes generalised",
       TaskKind::multiclass,
       {.kind = LossKind::generalised_cross_entropy},
       3,
       classes,
       [=](const at::Tensor& z, const at::Tensor& y) { return generalised(label_probability(z, y), 0.7); }},
      {"classes focal",
       TaskKind::multiclass,
       {.kind = LossKind::focal},
       3,
       classes,
       [=](const at::Tensor& z, const at::Tensor& y) { return focal(label_probability(z, y), 2); }},
      {"classes focal weighted",
       TaskKind::multiclass,
       {.kind = LossKind::focal, .gamma = 0.5, .class_weights = {0.5, 1, 4}},
       3,
       classes,
       [=](const at::Tensor& z, const at::Tensor& y) {
         return at::tensor({0.5, 1.0, 4.0}).index_select(0, y.to(at::kLong).squeeze(1)).unsqueeze(1) * focal(label_probability(z, y), 0.5);
       }},
      {"many labels", TaskKind::multilabel, {.positive_weight = 2.5}, 3, many, weighted(2.5)},
      {"classes weighted",
       TaskKind::multiclass,
       {.class_weights = {0.5, 1, 4}},
       3,
       classes,
       [](const at::Tensor& z, const at::Tensor& y) {
         return at::tensor({0.5, 1.0, 4.0}).index_select(0, y.to(at::kLong).squeeze(1)).unsqueeze(1) * -at::log(label_probability(z, y));
       }},
      {"regression of the logarithm",
       TaskKind::regression,
       {.kind = LossKind::squared_log_error},
       1,
       days,
       [](const at::Tensor& z, const at::Tensor& y) { return at::pow(z - at::log(1 + at::where(y > 0, y, 0.0)), 2); }},
      {"regression",
       TaskKind::regression,
       {.kind = LossKind::squared_error},
       1,
       numbers({4, 1}, 9, 3),
       [](const at::Tensor& z, const at::Tensor& y) { return at::pow(z - y, 2); }},
  };
}

Function loss_of(const LossCase& c, const at::Tensor& value, const at::Tensor& valid) {
  return [=, task = c.task, options = c.options](const Tensors& t, WeightQueue*) { return loss_sum(task, options, t.at("logits"), value, valid); };
}

TEST(Losses, equal_their_formulas_with_gradients_over_valid_rows_only) {
  const at::Tensor valid = at::tensor({1, 1, 0, 1}).to(at::kBool);
  for (const LossCase& c : loss_cases()) {
    SCOPED_TRACE(c.name);
    const Tensors inputs{{"logits", numbers({4, c.outputs}, 3, 3)}};
    const Function formula = [&](const Tensors& t, WeightQueue*) {
      return c.rows(t.at("logits"), c.value).masked_fill(valid.logical_not().unsqueeze(1), 0).sum();
    };
    expect_close(evaluate(inputs, loss_of(c, c.value, valid)), evaluate(inputs, formula), 1e-12);
    expect_gradients_by_differences(inputs, loss_of(c, c.value, valid));
  }
}

TEST(Losses, do_not_see_what_invalid_rows_hold) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor valid = at::tensor({1, 0, 0, 1}).to(at::kBool), rows = valid.unsqueeze(1);
  for (const LossCase& c : loss_cases()) {
    SCOPED_TRACE(c.name);
    const at::Tensor logits = numbers({4, c.outputs}, 3, 3);
    const Evaluation clean = evaluate({{"logits", logits}}, loss_of(c, c.value, valid));
    const Evaluation dirty = evaluate({{"logits", at::where(rows, logits, nan)}}, loss_of(c, at::where(rows, c.value, nan), valid));
    EXPECT_TRUE(dirty.value.equal(clean.value));
    EXPECT_TRUE(dirty.gradients.at("logits").equal(clean.gradients.at("logits")));
    EXPECT_EQ(dirty.gradients.at("logits")[1].abs().sum().item<double>(), 0);
  }
}

TEST(Losses, of_nothing_valid_and_of_no_rows_are_zero_with_zero_gradients) {
  for (const LossCase& c : loss_cases()) {
    SCOPED_TRACE(c.name);
    const Evaluation none = evaluate({{"logits", numbers({4, c.outputs}, 3)}}, loss_of(c, c.value, at::zeros({4}, at::kBool)));
    EXPECT_EQ(none.value.item<double>(), 0);
    EXPECT_EQ(none.gradients.at("logits").abs().sum().item<double>(), 0);
    const Evaluation empty = evaluate({{"logits", at::empty({0, c.outputs}, at::kDouble)}}, loss_of(c, c.value.narrow(0, 0, 0), at::zeros({0}, at::kBool)));
    EXPECT_EQ(empty.value.item<double>(), 0);
  }
}

TEST(Losses, stay_finite_with_gradients_for_huge_logits_in_single_precision) {
  const at::Tensor valid = at::ones({4}, at::kBool);
  for (const LossCase& c : loss_cases()) {
    for (const double scale : {100.0, 1e4}) {
      SCOPED_TRACE(c.name);
      const Tensors inputs{{"logits", numbers({4, c.outputs}, 3, scale, at::kFloat)}};
      const Evaluation result = evaluate(inputs, loss_of(c, c.value, valid));
      EXPECT_TRUE(result.value.isfinite().all().item<bool>());
      EXPECT_TRUE(result.gradients.at("logits").isfinite().all().item<bool>());
    }
  }
}

TEST(Losses, with_gamma_zero_are_weighted_cross_entropy) {
  const at::Tensor valid = at::ones({4}, at::kBool), logits = numbers({4, 1}, 3, 3), y = at::tensor({1.0, 0.0, 0.0, 1.0}).unsqueeze(1);
  const at::Tensor focal = loss_sum(TaskKind::binary, {.kind = LossKind::focal, .gamma = 0, .alpha = 0.75}, logits, y, valid);
  const at::Tensor entropy = loss_sum(TaskKind::binary, {.positive_weight = 3}, logits, y, valid);
  EXPECT_NEAR(focal.item<double>(), entropy.item<double>() * 0.25, 1e-14);
}

TEST(Losses, take_labels_of_another_precision) {
  const at::Tensor valid = at::ones({4}, at::kBool), logits = numbers({4, 3}, 3, 3), y = at::tensor({2.0, 0.0, 1.0, 2.0}).unsqueeze(1);
  EXPECT_TRUE(loss_sum(TaskKind::multiclass, {}, logits, y.to(at::kFloat), valid).equal(loss_sum(TaskKind::multiclass, {}, logits, y, valid)));
}

TEST(LossKinds, are_refused_where_they_do_not_fit) {
  EXPECT_EQ(loss_kind("focal", TaskKind::binary), LossKind::focal);
  EXPECT_EQ(loss_kind("squared_error", TaskKind::regression), LossKind::squared_error);
  EXPECT_EQ(loss_kind("squared_log_error", TaskKind::regression), LossKind::squared_log_error);
  EXPECT_EQ(loss_kind("cross_entropy", TaskKind::multilabel), LossKind::cross_entropy);
  EXPECT_EQ(loss_kind("generalised_cross_entropy", TaskKind::multiclass), LossKind::generalised_cross_entropy);
  const std::vector<std::pair<std::string, TaskKind>> wrong{{"squared_error", TaskKind::binary},
                                                            {"squared_log_error", TaskKind::multiclass},
                                                            {"cross_entropy", TaskKind::regression},
                                                            {"focal", TaskKind::multilabel},
                                                            {"nonsense", TaskKind::binary}};
  for (const auto& [name, task] : wrong) {
    try {
      (void)loss_kind(name, task);
      ADD_FAILURE() << name << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
    }
  }
}

TEST(Probabilities, are_those_of_the_head_and_detached) {
  const at::Tensor logits = numbers({4, 3}, 3, 3).set_requires_grad(true);
  constexpr LossKind entropy = LossKind::cross_entropy;
  EXPECT_FALSE(probabilities(TaskKind::multiclass, entropy, logits).requires_grad());
  EXPECT_TRUE(probabilities(TaskKind::multiclass, entropy, logits).equal(at::softmax(logits.detach(), 1)));
  EXPECT_TRUE(probabilities(TaskKind::multilabel, entropy, logits).equal(at::sigmoid(logits.detach())));
  EXPECT_TRUE(probabilities(TaskKind::regression, LossKind::squared_error, logits).equal(logits.detach()));
  // in the label's unit: what is trained on log(1 + days) is told in days
  const at::Tensor days = at::tensor({0.0, 2.5, 40.0}).unsqueeze(1);
  EXPECT_TRUE(probabilities(TaskKind::regression, LossKind::squared_log_error, at::log1p(days)).allclose(days, 1e-12));
}

}  // namespace
}  // namespace tributary
