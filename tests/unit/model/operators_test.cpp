#include "model/layers/operators.h"
#include "model/layers/matmul.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/layers/philox_lanes.h"
#include "unit/model/gradients.h"

namespace tributary {
namespace {

using namespace testing_support;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

at::Tensor mask_of(std::vector<std::int64_t> lengths, std::int64_t length) { return at::arange(length).unsqueeze(0) < at::tensor(lengths).unsqueeze(1); }

Tensors linear_inputs(std::vector<std::int64_t> shape) {
  const std::int64_t width = shape.back();
  return {{"x", numbers(shape, 1)}, {"weight", numbers({5, width}, 2)}, {"bias", numbers({5}, 3)}};
}

at::Tensor our_linear(const Tensors& t, WeightQueue* queue) { return ops::linear(t.at("x"), t.at("weight"), t.at("bias"), queue); }

TEST(Linear, equals_the_reference_with_all_gradients_for_any_leading_shape) {
  const Function reference = [](const Tensors& t, WeightQueue*) { return at::linear(t.at("x"), t.at("weight"), t.at("bias")); };
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{7, 3}, {2, 4, 3}, {1, 1}, {0, 3}, {3, 0, 4}}) {
    expect_close(evaluate(linear_inputs(shape), our_linear), evaluate(linear_inputs(shape), reference), 1e-12);
  }
  expect_gradients_by_differences(linear_inputs({2, 4, 3}), our_linear);
}

TEST(Linear, takes_inputs_that_are_not_contiguous_and_no_bias) {
  const Tensors inputs{{"x", numbers({6, 4, 3}, 1)}, {"weight", numbers({5, 4}, 2)}};
  const Evaluation ours =
      evaluate(inputs, [](const Tensors& t, WeightQueue* queue) { return ops::linear(t.at("x").transpose(1, 2), t.at("weight"), {}, queue); });
  expect_close(ours, evaluate(inputs, [](const Tensors& t, WeightQueue*) { return at::linear(t.at("x").transpose(1, 2), t.at("weight")); }), 1e-12);
}

TEST(Linear, gives_the_weight_gradient_when_the_input_needs_none_and_the_other_way_round) {
  const Evaluation all = evaluate(linear_inputs({4, 3}), our_linear);
  for (const std::vector<std::string>& fixed : std::vector<std::vector<std::string>>{{"x"}, {"weight"}, {"x", "bias"}, {"weight", "bias"}}) {
    const Evaluation some = evaluate(linear_inputs({4, 3}), our_linear, fixed);
    EXPECT_EQ(some.gradients.size(), 3 - fixed.size());
    for (const auto& [name, gradient] : some.gradients) EXPECT_TRUE(gradient.equal(all.gradients.at(name))) << name;
  }
}

TEST(Linear, gives_the_same_values_with_and_without_recording) {
  const Tensors inputs = linear_inputs({4, 3});
  const c10::NoGradGuard no_gradients;
  EXPECT_TRUE(our_linear(inputs, nullptr).equal(evaluate(inputs, our_linear).value));
}

TEST(Linear, refuses_to_record_without_a_queue_and_weights_of_another_width) {
  const at::Tensor x = numbers({2, 3}, 1).set_requires_grad(true);
  EXPECT_THROW((void)ops::linear(x, numbers({4, 3}, 2), {}, nullptr), Error);
  EXPECT_THROW((void)ops::linear(x.detach(), numbers({4, 2}, 2), {}, nullptr), Error);
}

TEST(WeightProducts, do_not_depend_on_the_order_in_which_backward_reached_the_operators) {
  const auto run = [](bool swapped) {
    at::Tensor x = numbers({4, 3}, 1).set_requires_grad(true), w = numbers({3, 3}, 2).set_requires_grad(true);
    WeightQueue queue;
    const at::Tensor a = ops::linear(x, w, {}, &queue), b = ops::linear(x * 2, w, {}, &queue), c = ops::linear(x + 1, w, {}, &queue);
    std::vector<at::Tensor> outputs{a, b, c};
    if (swapped) std::swap(outputs[0], outputs[2]);
    for (const at::Tensor& output : outputs) (void)torch::autograd::grad({output.sum()}, {w}, {}, true, false, true);
    std::vector<at::Tensor> values;
    for (const WeightQueue::Gradient& gradient : queue.drain()) values.push_back(gradient.value);
    return values;
  };
  const std::vector<at::Tensor> straight = run(false), swapped = run(true);
  ASSERT_EQ(straight.size(), 3U);
  ASSERT_EQ(swapped.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(straight[i].equal(swapped[i]));
  EXPECT_FALSE(straight[0].equal(straight[1]));
}

TEST(WeightProducts, of_a_weight_used_twice_are_both_counted) {
  const Function ours = [](const Tensors& t, WeightQueue* queue) {
    return ops::linear(at::tanh(ops::linear(t.at("x"), t.at("w"), {}, queue)), t.at("w"), {}, queue);
  };
  const Function reference = [](const Tensors& t, WeightQueue*) { return at::linear(at::tanh(at::linear(t.at("x"), t.at("w"))), t.at("w")); };
  const Tensors inputs{{"x", numbers({4, 3}, 1)}, {"w", numbers({3, 3}, 2)}};
  expect_close(evaluate(inputs, ours), evaluate(inputs, reference), 1e-12);
}

TEST(Product, equals_the_exact_one_for_all_shapes_and_strides_in_single_precision) {
  int compared = 0;
  for (const std::int64_t m : {0, 1, 5, 12, 13, 29}) {
    for (const std::int64_t k : {0, 1, 33, 300, 520}) {
      for (const std::int64_t n : {1, 31, 32, 70}) {
        const at::Tensor a = numbers({m, k}, 1, 1, at::kFloat), b = numbers({k, n}, 2, 1, at::kFloat), bias = numbers({n}, 3, 1, at::kFloat);
        const at::Tensor turned_a = a.t().contiguous().t(), turned_b = b.t().contiguous().t();
        const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble)), plain = ops::product(a, b);
        EXPECT_LE(difference(plain, exact), 2e-6) << m << " " << k << " " << n;
        EXPECT_LE(difference(ops::product(a, b, bias), exact + bias.to(at::kDouble)), 2e-6);
        EXPECT_TRUE(plain.equal(ops::product(turned_a, b)));
        EXPECT_TRUE(plain.equal(ops::product(a, turned_b)));
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 120);
}

// More rows, columns and terms than are worked on together.
TEST(Product, gives_a_row_and_a_column_the_same_bits_whatever_stands_beside_them) {
  const at::Tensor a = numbers({211, 1100}, 1, 1, at::kFloat), b = numbers({1100, 820}, 2, 1, at::kFloat), all = ops::product(a, b);
  EXPECT_LE(difference(all, at::mm(a.to(at::kDouble), b.to(at::kDouble))), 2e-6);
  EXPECT_TRUE(all.equal(ops::product(a.t().contiguous().t(), b)));
  for (std::int64_t row = 0; row < 211; ++row) EXPECT_TRUE(ops::product(a.narrow(0, row, 1), b).equal(all.narrow(0, row, 1))) << row;
  for (std::int64_t column = 0; column < 820; column += 41) EXPECT_TRUE(ops::product(a, b.narrow(1, column, 1)).equal(all.narrow(1, column, 1))) << column;
}

TEST(Linear, in_single_precision_is_as_near_to_the_exact_values_as_rounding_allows) {
  const Tensors inputs{{"x", numbers({3, 7, 40}, 1, 1, at::kFloat)}, {"weight", numbers({5, 40}, 2, 1, at::kFloat)}, {"bias", numbers({5}, 3, 1, at::kFloat)}};
  Tensors wide;
  for (const auto& [name, tensor] : inputs) wide[name] = tensor.to(at::kDouble);
  const Evaluation single = evaluate(inputs, our_linear), exact = evaluate(wide, our_linear);
  ASSERT_EQ(single.value.scalar_type(), at::kFloat);
  EXPECT_LE(difference(single.value, exact.value), 2e-6);
  for (const auto& [name, gradient] : exact.gradients) EXPECT_LE(difference(single.gradients.at(name), gradient), 5e-6) << name;
}

struct Shape {
  std::int64_t records, length, width, taps, dilation, left, right;
};

TEST(Embedding, has_a_sparse_gradient_with_the_bits_of_the_dense_one) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const std::vector<std::int64_t>& rows : std::vector<std::vector<std::int64_t>>{{3, 1, 3, 3, 9, 0, 1, 3}, {5}, {}}) {
      const at::Tensor ids = at::tensor(rows, at::kLong);
      const at::Tensor table = numbers({10, 4}, 1).to(type).set_requires_grad(true), upstream = numbers({ids.size(0), 4}, 2).to(type);
      const at::Tensor ours = ops::embedding(table, ids), theirs = at::embedding(table, ids);
      EXPECT_TRUE(ours.equal(theirs));
      const at::Tensor gradient = torch::autograd::grad({ours}, {table}, {upstream}).front();
      ASSERT_TRUE(gradient.is_sparse() && gradient.is_coalesced());
      EXPECT_TRUE(gradient.to_dense().equal(torch::autograd::grad({theirs}, {table}, {upstream}).front()));
    }
  }
}

TEST(Embedding, is_the_librarys_where_nothing_is_recorded_and_in_half_precision) {
  const at::Tensor ids = at::tensor({2, 0, 2}, at::kLong), table = numbers({3, 4}, 1).to(at::kFloat);
  EXPECT_FALSE(ops::embedding(table, ids).requires_grad());
  const at::Tensor half = table.to(at::kBFloat16).set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({ops::embedding(half, ids).sum()}, {half}).front();
  EXPECT_FALSE(gradient.is_sparse());
  EXPECT_THROW((void)ops::embedding(table, ids.view({1, 3})), Error);
}

TEST(Conv1d, equals_the_reference_with_all_gradients_for_all_paddings) {
  for (const Shape& s : std::vector<Shape>{{2, 7, 3, 3, 1, 1, 1},
                                           {1, 1, 3, 3, 1, 1, 1},
                                           {3, 9, 2, 4, 2, 0, 0},
                                           {2, 5, 2, 3, 2, 4, 0},
                                           {2, 5, 2, 3, 2, 0, 6},
                                           {2, 6, 3, 1, 1, 0, 0},
                                           {0, 6, 3, 3, 1, 1, 1},
                                           {2, 7, 2, 3, 3, 0, 0}}) {
    const Tensors inputs{{"x", numbers({s.records, s.length, s.width}, 1)}, {"weight", numbers({4, s.width, s.taps}, 2)}, {"bias", numbers({4}, 3)}};
    const Function ours = [&](const Tensors& t, WeightQueue* queue) {
      return ops::conv1d(t.at("x"), t.at("weight"), t.at("bias"), s.dilation, s.left, s.right, queue);
    };
    const Function reference = [&](const Tensors& t, WeightQueue*) {
      const at::Tensor padded = at::constant_pad_nd(t.at("x").transpose(1, 2), {s.left, s.right}, 0);
      return at::conv1d(padded, t.at("weight"), t.at("bias"), at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{s.dilation}).transpose(1, 2);
    };
    expect_close(evaluate(inputs, ours), evaluate(inputs, reference), 1e-12);
    if (s.records > 0) expect_gradients_by_differences(inputs, ours);
  }
}

TEST(Conv1d, refuses_fewer_positions_than_its_span) {
  EXPECT_THROW((void)ops::conv1d(numbers({1, 3, 2}, 1), numbers({1, 2, 3}, 2), {}, 2, 0, 0, nullptr), Error);
}

ops::DynamicReluWeights relu_weights(const Tensors& t) { return {t.at("d1"), t.at("b1"), t.at("d2"), t.at("b2")}; }

TEST(DynamicRelu, equals_a_plain_composition_with_all_gradients) {
  const Function ours = [](const Tensors& t, WeightQueue* queue) { return ops::dynamic_relu(t.at("x"), relu_weights(t), queue); };
  const Function reference = [](const Tensors& t, WeightQueue*) {
    const at::Tensor u = at::tanh(t.at("x").mean(-1, true) * t.at("d1").squeeze(1) + t.at("b1"));
    return at::relu(t.at("x") - at::matmul(u, t.at("d2").t()) - t.at("b2"));
  };
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 5, 6}, {1, 6}, {0, 5, 6}, {3, 1, 1}}) {
    const std::int64_t width = shape.back();
    const Tensors inputs{{"x", numbers(shape, 1)},
                         {"d1", numbers({64, 1}, 2)},
                         {"b1", numbers({64}, 3)},
                         {"d2", numbers({width, 64}, 4, 0.3)},
                         {"b2", numbers({width}, 5, 0.3)}};
    expect_close(evaluate(inputs, ours), evaluate(inputs, reference), 1e-12);
    const Evaluation still = evaluate(inputs, ours, {"x", "d2"});
    const Evaluation moving = evaluate(inputs, reference, {"x", "d2"});
    expect_close(still, moving, 1e-12);
    if (shape[0] > 0) expect_gradients_by_differences(inputs, ours);
  }
}

TEST(MaskedSoftmax, equals_the_softmax_of_the_valid_scores_and_is_zero_elsewhere) {
  const Tensors inputs{{"scores", numbers({3, 5}, 1, 4)}};
  const at::Tensor mask = mask_of({5, 2, 1}, 5);
  const Function ours = [&](const Tensors& t, WeightQueue*) { return ops::masked_softmax(t.at("scores"), mask); };
  const Evaluation result = evaluate(inputs, ours);
  expect_close(result.value[1].narrow(0, 0, 2), at::softmax(inputs.at("scores")[1].narrow(0, 0, 2), 0), 1e-15, "two valid scores");
  expect_close(result.value.sum(1), at::ones({3}, at::kDouble), 1e-15, "the sum");
  EXPECT_EQ(result.value.masked_select(mask.logical_not()).abs().max().item<double>(), 0);
  expect_gradients_by_differences(inputs, ours);
}

TEST(MaskedSoftmax, stays_finite_for_masked_nan_for_rows_without_valid_scores_and_for_large_scores) {
  at::Tensor scores = numbers({3, 4}, 1, 1000);
  scores[0][3] = not_a_number;
  scores[1].fill_(not_a_number);
  const at::Tensor mask = mask_of({3, 0, 4}, 4);
  const Evaluation result = evaluate({{"scores", scores}}, [&](const Tensors& t, WeightQueue*) { return ops::masked_softmax(t.at("scores"), mask); });
  EXPECT_TRUE(result.value.isfinite().all().item<bool>());
  EXPECT_TRUE(result.gradients.at("scores").isfinite().all().item<bool>());
  EXPECT_EQ(result.value[1].abs().sum().item<double>(), 0);
  EXPECT_EQ(result.gradients.at("scores")[1].abs().sum().item<double>(), 0);
}

TEST(SelectValid, passes_neither_nan_nor_its_gradient) {
  at::Tensor x = numbers({2, 3, 4}, 1);
  const at::Tensor mask = mask_of({2, 0}, 3).unsqueeze(-1);
  x[0][2].fill_(not_a_number);
  x[1].fill_(not_a_number);
  // The square makes the gradient depend on the value: without selection NaN would come back.
  const Evaluation result = evaluate({{"x", x}}, [&](const Tensors& t, WeightQueue*) { return ops::select_valid(t.at("x").square(), mask).square(); });
  EXPECT_TRUE(result.value.isfinite().all().item<bool>());
  const Evaluation direct = evaluate({{"x", x}}, [&](const Tensors& t, WeightQueue*) { return ops::select_valid(t.at("x"), mask).square(); });
  EXPECT_TRUE(direct.gradients.at("x").isfinite().all().item<bool>());
  EXPECT_GT(direct.gradients.at("x")[0][0].abs().sum().item<double>(), 0);
  EXPECT_EQ(direct.gradients.at("x")[1].abs().sum().item<double>(), 0);
  EXPECT_THROW((void)ops::select_valid(x, mask.to(at::kFloat)), Error);
}

ops::PoolingWeights pooling(const Tensors& t) { return {t.at("w"), t.at("b"), t.at("v")}; }

TEST(PoolingWeights, equal_a_plain_composition_with_all_gradients) {
  const Tensors inputs{{"x", numbers({3, 4, 5}, 1)}, {"w", numbers({64, 5}, 2)}, {"b", numbers({64}, 3)}, {"v", numbers({1, 64}, 4)}};
  const at::Tensor mask = mask_of({4, 2, 1}, 4);
  const Function ours = [&](const Tensors& t, WeightQueue* queue) { return ops::pooling_weights(t.at("x"), mask, pooling(t), queue); };
  const Function reference = [&](const Tensors& t, WeightQueue*) {
    const at::Tensor scores = at::matmul(at::tanh(at::matmul(t.at("x"), t.at("w").t()) + t.at("b")), t.at("v").t()).squeeze(-1);
    const at::Tensor e = at::exp(scores) * mask.to(at::kDouble);
    return e / e.sum(1, true);
  };
  expect_close(evaluate(inputs, ours), evaluate(inputs, reference), 1e-12);
  expect_gradients_by_differences(inputs, ours);
}

TEST(PoolingWeights, are_the_same_whatever_the_padding_holds_and_zero_for_a_record_without_positions) {
  Tensors inputs{{"x", numbers({2, 4, 5}, 1)}, {"w", numbers({64, 5}, 2)}, {"b", numbers({64}, 3)}, {"v", numbers({1, 64}, 4)}};
  const at::Tensor mask = mask_of({3, 0}, 4);
  const Function ours = [&](const Tensors& t, WeightQueue* queue) { return ops::pooling_weights(t.at("x"), mask, pooling(t), queue); };
  const Evaluation clean = evaluate(inputs, ours);
  inputs["x"] = at::where(mask.unsqueeze(-1), inputs.at("x"), not_a_number);
  const Evaluation dirty = evaluate(inputs, ours);
  EXPECT_TRUE(dirty.value.equal(clean.value));
  EXPECT_EQ(dirty.value[1].abs().sum().item<double>(), 0);
  for (const auto& [name, gradient] : clean.gradients) EXPECT_TRUE(dirty.gradients.at(name).equal(gradient)) << name;
}

TEST(PhiloxLanes, are_the_words_of_counters_that_follow_each_other_also_where_these_pass_32_and_64_bits) {
  const Key key = derive_key(Draw::dropout, {9});
  for (const std::uint64_t first : {std::uint64_t{0}, (std::uint64_t{1} << 32) - 7, ~std::uint64_t{0} - 7}) {
    std::array<std::uint32_t, philox_block> words{};
    philox_lanes(key, first, words.data());
    for (std::size_t i = 0; i < words.size(); ++i) EXPECT_EQ(words[i], philox(key, first + i / 4)[i % 4]) << first << " and " << i;
  }
}

TEST(Dropout, decides_element_i_by_word_i_mod_4_of_call_i_div_4_of_the_key) {
  const Key key = derive_key(Draw::dropout, {1, 2, 3});
  const double p = 0.3;
  const at::Tensor x = at::ones({1003}, at::kFloat), y = ops::dropout(x, p, key, true);
  const float scale = static_cast<float>(1 / (1 - p));
  for (std::int64_t i = 0; i < 1003; ++i) {
    const bool kept = philox(key, static_cast<std::uint64_t>(i / 4))[static_cast<std::size_t>(i % 4)] >= std::llround(p * 0x1p32);
    ASSERT_EQ(y[i].item<float>(), kept ? scale : 0.0F) << i;
  }
}

TEST(Dropout, drops_at_its_rate_keeps_the_mean_and_the_same_mask_in_both_precisions) {
  const at::Tensor x = at::ones({200000}, at::kDouble);
  for (const double p : {0.1, 0.5, 0.9}) {
    const Key key = derive_key(Draw::dropout, {7});
    const at::Tensor y = ops::dropout(x, p, key, true);
    EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), p, 0.006);
    EXPECT_NEAR(y.mean().item<double>(), 1, 0.03);
    EXPECT_TRUE(y.eq(0).equal(ops::dropout(x.to(at::kFloat), p, key, true).eq(0)));
    EXPECT_TRUE(y.equal(ops::dropout(x, p, key, true)));
    EXPECT_FALSE(y.eq(0).equal(ops::dropout(x, p, derive_key(Draw::dropout, {8}), true).eq(0)));
  }
}

TEST(Dropout, passes_gradients_where_it_passed_values_and_a_dropped_nan_nowhere) {
  const Key key = derive_key(Draw::dropout, {5});
  const Function ours = [&](const Tensors& t, WeightQueue*) { return ops::dropout(t.at("x"), 0.4, key, true); };
  expect_gradients_by_differences({{"x", numbers({5, 9}, 1)}}, ours);
  expect_gradients_by_differences({{"x", numbers({5, 9}, 1)}}, [&](const Tensors& t, WeightQueue*) { return ops::dropout(t.at("x").t(), 0.4, key, true); });
  const at::Tensor kept = ops::dropout(at::ones({45}, at::kDouble), 0.4, key, true).ne(0);
  EXPECT_TRUE(ops::dropout(at::where(kept, 1.0, not_a_number), 0.4, key, true).isfinite().all().item<bool>());
}

TEST(Dropout, does_nothing_in_evaluation_at_rate_zero_or_to_nothing) {
  const Key key = derive_key(Draw::dropout, {5});
  const at::Tensor x = numbers({3, 4}, 1);
  EXPECT_TRUE(ops::dropout(x, 0.5, key, false).equal(x));
  EXPECT_TRUE(ops::dropout(x, 0, key, true).equal(x));
  EXPECT_EQ(ops::dropout(at::empty({0, 4}, at::kFloat), 0.5, key, true).numel(), 0);
  EXPECT_THROW((void)ops::dropout(x, 1, key, true), Error);
}

}  // namespace
}  // namespace tributary
