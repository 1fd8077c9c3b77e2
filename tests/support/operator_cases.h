// Every operator once or more, as a function of named double tensors: to be run in other types and on other devices and compared.
#pragma once

#include <string>
#include <vector>

#include "model/layers/losses.h"
#include "model/layers/operators.h"
#include "model/layers/split_linear.h"
#include "unit/model/gradients.h"

namespace tributary::testing_support {

struct OperatorCase {
  std::string name;
  Tensors inputs;  // double, in host memory
  Function function;
};

// The inputs on a device in a floating type.
inline Tensors inputs_as(const Tensors& inputs, at::Device device, at::ScalarType type) {
  Tensors moved;
  for (const auto& [name, tensor] : inputs) moved[name] = tensor.to(device, type);
  return moved;
}

namespace detail {

inline at::Tensor whole_numbers(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

// [rows, columns] bool on the device of `like`: the first lengths[row] of a row.
inline at::Tensor first_of(const std::vector<std::int64_t>& lengths, std::int64_t columns, const at::Tensor& like) {
  return at::arange(columns).lt(whole_numbers(lengths).unsqueeze(1)).to(like.device());
}

inline void add_products(std::vector<OperatorCase>& cases) {
  for (const std::int64_t rows : {0, 1, 7}) {
    cases.push_back({"linear of " + std::to_string(rows),
                     {{"x", numbers({2, rows, 40}, 1)}, {"weight", numbers({24, 40}, 2, 0.4)}, {"bias", numbers({24}, 3)}},
                     [](const Tensors& t, WeightQueue* queue) { return ops::linear(t.at("x"), t.at("weight"), t.at("bias"), queue); }});
  }
  cases.push_back({"linear without bias", {{"x", numbers({5, 6}, 1)}, {"weight", numbers({3, 6}, 2)}}, [](const Tensors& t, WeightQueue* queue) {
                     return ops::linear(t.at("x").t().contiguous().t(), t.at("weight"), {}, queue);
                   }});
  for (const auto& [dilation, left, right] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {2, 4, 0}, {3, 0, 0}}) {
    cases.push_back({"conv1d of dilation " + std::to_string(dilation),
                     {{"x", numbers({3, 9, 6}, 1)}, {"weight", numbers({8, 6, 3}, 2, 0.4)}, {"bias", numbers({8}, 3)}},
                     [dilation = dilation, left = left, right = right](const Tensors& t, WeightQueue* queue) {
                       return ops::conv1d(t.at("x"), t.at("weight"), t.at("bias"), dilation, left, right, queue);
                     }});
  }
  cases.push_back({"split_linear",
                   {{"positions", numbers({3, 5, 6}, 1)}, {"record", numbers({3, 4}, 2)}, {"weight", numbers({8, 10}, 3, 0.5)}},
                   [](const Tensors& t, WeightQueue* queue) { return ops::split_linear(t.at("positions"), t.at("record"), t.at("weight"), queue); }});
  for (const auto& [records, length] : std::vector<std::array<std::int64_t, 2>>{{5, 9}, {1, 1}, {0, 3}}) {
    cases.push_back({"lstm of " + std::to_string(records),
                     {{"x", numbers({records, length, 12}, 1)},
                      {"w_ih", numbers({64, 12}, 2, 0.5)},
                      {"w_hh", numbers({64, 16}, 3, 0.5)},
                      {"b_ih", numbers({64}, 4, 0.5)},
                      {"b_hh", numbers({64}, 5, 0.5)}},
                     [](const Tensors& t, WeightQueue* queue) {
                       return ops::lstm(t.at("x"), {t.at("w_ih"), t.at("w_hh"), t.at("b_ih"), t.at("b_hh")}, queue);
                     }});
  }
  cases.push_back(
      {"dynamic_relu",
       {{"x", numbers({3, 5, 16}, 1)}, {"d1", numbers({64, 1}, 2)}, {"b1", numbers({64}, 3)}, {"d2", numbers({16, 64}, 4, 0.1)}, {"b2", numbers({16}, 5, 0.1)}},
       [](const Tensors& t, WeightQueue* queue) {
         return ops::dynamic_relu(t.at("x"), {t.at("d1"), t.at("b1"), t.at("d2"), t.at("b2")}, queue);
       }});
}

inline void add_attention(std::vector<OperatorCase>& cases) {
  for (const auto& lengths : std::vector<std::vector<std::int64_t>>{{7, 1, 33, 20, 2}, {5}}) {
    std::int64_t rows = 0;
    for (const std::int64_t length : lengths) rows += length;
    cases.push_back(
        {"packed_attention of " + std::to_string(rows),
         {{"q", numbers({rows, 16}, 1, 2)}, {"k", numbers({rows, 16}, 2, 2)}, {"v", numbers({rows, 16}, 3)}},
         [lengths](const Tensors& t, WeightQueue*) { return ops::packed_attention(t.at("q"), t.at("k"), t.at("v"), whole_numbers(lengths), 2, 0, Key{}); }});
  }
  for (const bool context : {true, false}) {
    Tensors inputs{{"q", numbers({4, 7, 8}, 1, 2)}, {"k", numbers({4, 7, 8}, 2, 2)}};
    if (context) inputs["v"] = numbers({4, 7, 8}, 3);
    cases.push_back({context ? "global_attention" : "global_attention without values", inputs, [context](const Tensors& t, WeightQueue*) {
                       const ops::AttentionResult result =
                           ops::global_attention({t.at("q"), t.at("k"), context ? t.at("v") : at::Tensor(), whole_numbers({5, 0, 7, 1}), 2});
                       return context ? at::cat({result.mass.unsqueeze(2), result.context}, 2) : result.mass;
                     }});
  }
  cases.push_back({"masked_softmax", {{"scores", numbers({4, 6}, 1, 4)}}, [](const Tensors& t, WeightQueue*) {
                     return ops::masked_softmax(t.at("scores"), first_of({6, 2, 0, 1}, 6, t.at("scores")));
                   }});
  cases.push_back({"pooling_weights",
                   {{"x", numbers({3, 4, 5}, 1)}, {"w", numbers({64, 5}, 2)}, {"b", numbers({64}, 3)}, {"v", numbers({1, 64}, 4, 0.5)}},
                   [](const Tensors& t, WeightQueue* queue) {
                     return ops::pooling_weights(t.at("x"), first_of({4, 2, 0}, 4, t.at("x")), {t.at("w"), t.at("b"), t.at("v")}, queue);
                   }});
  cases.push_back({"select_valid", {{"x", numbers({3, 4}, 1)}}, [](const Tensors& t, WeightQueue*) {
                     return ops::select_valid(t.at("x"), first_of({4, 2, 0}, 4, t.at("x"))).square();
                   }});
  cases.push_back({"gelu", {{"x", numbers({4, 50}, 1, 4)}}, [](const Tensors& t, WeightQueue*) { return ops::gelu(t.at("x")); }});
}

inline void add_losses(std::vector<OperatorCase>& cases) {
  const auto add = [&](TaskKind task, const char* loss, const at::Tensor& value, LossOptions options = {}) {
    options.kind = loss_kind(loss, task);
    const std::int64_t width = task == TaskKind::regression ? 1 : task == TaskKind::binary ? 1 : 4;
    cases.push_back({std::string(loss) + " and probabilities", {{"logits", numbers({6, width}, 1, 3)}}, [=](const Tensors& t, WeightQueue*) {
                       const at::Tensor& logits = t.at("logits");
                       const at::Tensor valid = at::tensor(std::vector<std::int64_t>{1, 0, 1, 1, 1, 1}, at::kLong).to(at::kBool).to(logits.device());
                       const at::Tensor sum = loss_sum(task, options, logits, value.to(logits.device()), valid);
                       return at::cat({sum.view({1}), probabilities(task, options.kind, logits).view({-1}).to(sum.scalar_type())});
                     }});
  };
  const at::Tensor bits = whole_numbers({1, 0, 1, 0, 1, 1}).to(at::kFloat).unsqueeze(1),
                   classes = whole_numbers({3, 1, 0, 2, 2, 1}).to(at::kFloat).unsqueeze(1);
  LossOptions weighted;
  weighted.class_weights = {1, 2, 0.5, 3};
  for (const char* loss : {"cross_entropy", "generalised_cross_entropy", "focal"}) {
    add(TaskKind::binary, loss, bits);
    add(TaskKind::multiclass, loss, classes, std::string(loss) == "generalised_cross_entropy" ? LossOptions{} : weighted);
  }
  add(TaskKind::multilabel, "cross_entropy", bits.expand({6, 4}));
  add(TaskKind::regression, "squared_error", numbers({6, 1}, 5, 2, at::kFloat));
  add(TaskKind::regression, "squared_log_error", numbers({6, 1}, 5, 2, at::kFloat));
}

}  // namespace detail

inline std::vector<OperatorCase> operator_cases() {
  std::vector<OperatorCase> cases;
  detail::add_products(cases);
  detail::add_attention(cases);
  detail::add_losses(cases);
  return cases;
}

// Largest difference of a case in `type` on `device` from the exact result of the same rounded inputs, over the value and all gradients.
// Gradients of weights are compared relative to the largest of them, or to 1 where that is larger.
inline double worst_difference(const OperatorCase& test, at::Device device, at::ScalarType type) {
  const Tensors given = inputs_as(test.inputs, device, type);
  const Evaluation found = evaluate(given, test.function), exact = evaluate(inputs_as(given, at::kCPU, at::kDouble), test.function);
  EXPECT_EQ(found.gradients.size(), exact.gradients.size()) << test.name;
  EXPECT_FALSE(exact.gradients.empty()) << test.name;
  double worst = difference(found.value, exact.value);
  for (const auto& [name, gradient] : exact.gradients) {
    EXPECT_EQ(found.gradients.at(name).scalar_type(), type) << test.name << ": " << name;
    const double one = difference(found.gradients.at(name), gradient);
    worst = one <= worst ? worst : one;  // NaN stays
  }
  return worst;
}

}  // namespace tributary::testing_support
