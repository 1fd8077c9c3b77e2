// Every layer and loss against values that tests/golden/operators.py computed with PyTorch in double, forward and all gradients.
#include "support/golden.h"
#include "model/layers/losses.h"
#include "model/layers/operators.h"
#include "unit/model/gradients.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Case {
  const char* name;
  Function function;
  std::vector<std::string> inputs;  // those that have a gradient
};

Function conv(std::int64_t dilation, std::int64_t left, std::int64_t right) {
  return [=](const Tensors& t, WeightQueue* queue) { return ops::conv1d(t.at("x"), t.at("weight"), t.at("bias"), dilation, left, right, queue); };
}

Function loss(TaskKind task, const LossOptions& options) {
  return [=](const Tensors& t, WeightQueue*) { return loss_sum(task, options, t.at("logits"), t.at("value"), t.at("valid")); };
}

std::vector<Case> cases() {
  const auto linear = [](const Tensors& t, WeightQueue* queue) { return ops::linear(t.at("x"), t.at("weight"), t.at("bias"), queue); };
  const auto lstm = [](const Tensors& t, WeightQueue* queue) {
    return ops::lstm(t.at("x"), {t.at("weight_ih"), t.at("weight_hh"), t.at("bias_ih"), t.at("bias_hh")}, queue);
  };
  const auto relu = [](const Tensors& t, WeightQueue* queue) { return ops::dynamic_relu(t.at("x"), {t.at("d1"), t.at("b1"), t.at("d2"), t.at("b2")}, queue); };
  const auto pooling = [](const Tensors& t, WeightQueue* queue) {
    return ops::pooling_weights(t.at("x"), t.at("mask"), {t.at("w"), t.at("b"), t.at("v")}, queue);
  };
  const auto softmax = [](const Tensors& t, WeightQueue*) { return ops::masked_softmax(t.at("scores"), t.at("mask")); };
  const std::vector<std::string> weighted{"bias", "weight", "x"}, logits{"logits"};
  return {{"linear", linear, weighted},
          {"conv1d0", conv(1, 1, 1), weighted},
          {"conv1d1", conv(2, 0, 0), weighted},
          {"conv1d2", conv(4, 0, 16), weighted},
          {"lstm", lstm, {"bias_hh", "bias_ih", "weight_hh", "weight_ih", "x"}},
          {"dynamic_relu", relu, {"b1", "b2", "d1", "d2", "x"}},
          {"pooling", pooling, {"b", "v", "w", "x"}},
          {"masked_softmax", softmax, {"scores"}},
          {"loss_binary_cross_entropy", loss(TaskKind::binary, {.positive_weight = 2.5}), logits},
          {"loss_binary_generalised", loss(TaskKind::binary, {.kind = LossKind::generalised_cross_entropy}), logits},
          {"loss_binary_focal", loss(TaskKind::binary, {.kind = LossKind::focal}), logits},
          {"loss_multiclass_cross_entropy", loss(TaskKind::multiclass, {}), logits},
          {"loss_multiclass_generalised", loss(TaskKind::multiclass, {.kind = LossKind::generalised_cross_entropy}), logits},
          {"loss_multiclass_focal", loss(TaskKind::multiclass, {.kind = LossKind::focal, .class_weights = {0.5, 1, 2, 0.25}}), logits},
          {"loss_multilabel_cross_entropy", loss(TaskKind::multilabel, {.positive_weight = 2.5}), logits},
          {"loss_regression_squared_error", loss(TaskKind::regression, {.kind = LossKind::squared_error}), logits}};
}

TEST(Golden, values_and_gradients_of_every_layer_and_loss_are_met) {
  const Tensors golden = read_golden("operators.safetensors");
  std::size_t used = 0;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const std::string prefix = std::string(c.name) + "/";
    Tensors inputs;
    std::vector<std::string> fixed;
    for (const auto& [key, tensor] : golden) {
      if (key.rfind(prefix + "in/", 0) != 0) continue;
      const std::string input = key.substr(prefix.size() + 3);
      inputs[input] = tensor;
      if (golden.count(prefix + "grad/" + input) == 0) fixed.push_back(input);
    }
    const at::Tensor out = golden.at(prefix + "out"), up = golden.at(prefix + "up");
    at::Tensor value;
    const Evaluation result = evaluate(
        inputs,
        [&](const Tensors& t, WeightQueue* queue) {
          const at::Tensor y = c.function(t, queue);
          value = y.detach();
          return (y * up).sum() / contract(at::ones({}, up.options())).item<double>();  // evaluate() weighs a single number too
        },
        fixed);
    expect_close(value, out, 1e-10, "the value");
    ASSERT_EQ(result.gradients.size(), c.inputs.size());
    for (const std::string& input : c.inputs) expect_close(result.gradients.at(input), golden.at(prefix + "grad/" + input), 1e-10, "the gradient of " + input);
    used += 2 + inputs.size() + c.inputs.size();
  }
  EXPECT_EQ(used, golden.size()) << "the file holds cases that no test reads, or lacks some";
}

}  // namespace
}  // namespace tributary
