// The library's operators, which compute on devices and in half precision, against our kernels and against float64.
#include "model/layers/library.h"

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "model/layers/keep_mask.h"
#include "support/operator_cases.h"

namespace tributary {
namespace {

using namespace testing_support;

const at::Device host = at::kCPU;

// float32 runs on our kernels, float64 by the library's products: the same formulas.
TEST(Library, by_its_products_every_operator_equals_our_kernels) {
  for (const OperatorCase& test : operator_cases()) EXPECT_LE(worst_difference(test, host, at::kFloat), 1e-5) << test.name;
}

// The unit roundoff of bfloat16 is 2^-9 = 0.002, that of float16 2^-12 = 0.0002.
TEST(Library, in_half_precision_every_operator_is_near_the_exact_values) {
  std::size_t compared = 0;
  for (const OperatorCase& test : operator_cases()) {
    EXPECT_LE(worst_difference(test, host, at::kBFloat16), 0.03) << test.name;
    EXPECT_LE(worst_difference(test, host, at::kHalf), 0.004) << test.name;
    ++compared;
  }
  EXPECT_GE(compared, 25U);
}

Tensors floats(Tensors inputs) {
  for (auto& [name, tensor] : inputs) tensor = tensor.to(at::kFloat);
  return inputs;
}

TEST(Library, product_equals_the_kernel) {
  for (const auto& [m, k, n] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {13, 300, 70}, {0, 4, 3}, {5, 0, 33}}) {
    const at::Tensor a = numbers({m, k}, 1, 1, at::kFloat), b = numbers({k, n}, 2, 1, at::kFloat), bias = numbers({n}, 3, 1, at::kFloat);
    EXPECT_LE(difference(ops::library::product(a, b), ops::library::product(a.to(at::kDouble), b.to(at::kDouble))), 2e-6);
    EXPECT_LE(difference(ops::library::product(a, b.t().contiguous().t(), bias), ops::library::product(a, b) + bias), 2e-6);
  }
}

TEST(Library, dropout_in_single_precision_has_the_bits_of_the_kernel_and_in_half_the_same_mask) {
  const Key key = derive_key(Draw::dropout, {7});
  const Tensors inputs{{"x", numbers({37, 11}, 1, 1, at::kFloat)}};
  const Function ours = [&](const Tensors& t, WeightQueue*) { return ops::dropout(t.at("x"), 0.3, key, true); };
  const Evaluation kernel = evaluate(inputs, ours);
  const Evaluation library = evaluate(inputs, [&](const Tensors& t, WeightQueue*) { return ops::library::dropout(t.at("x"), 0.3, key); });
  EXPECT_TRUE(library.value.equal(kernel.value));
  EXPECT_TRUE(library.gradients.at("x").equal(kernel.gradients.at("x")));
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const Evaluation half = evaluate(inputs_as(inputs, host, type), ours);
    EXPECT_EQ(half.value.scalar_type(), type);
    EXPECT_TRUE(half.value.eq(0).equal(kernel.value.eq(0)));
    EXPECT_TRUE(half.gradients.at("x").eq(0).equal(kernel.gradients.at("x").eq(0)));
    EXPECT_LE(difference(half.value, kernel.value), 0.02);
  }
}

TEST(Library, keeps_elements_at_the_rate_and_by_the_key) {
  const at::Tensor mask = ops::keep_mask({200, 1000}, 0.25, derive_key(Draw::dropout, {1}), host);
  EXPECT_EQ(mask.scalar_type(), at::kBool);
  EXPECT_NEAR(mask.to(at::kDouble).mean().item<double>(), 0.75, 0.006);
  EXPECT_TRUE(mask.equal(ops::keep_mask({200, 1000}, 0.25, derive_key(Draw::dropout, {1}), host)));
  EXPECT_FALSE(mask.equal(ops::keep_mask({200, 1000}, 0.25, derive_key(Draw::dropout, {2}), host)));
  EXPECT_EQ(ops::keep_mask({0, 3}, 0.25, Key{}, host).numel(), 0);
  EXPECT_THROW((void)ops::keep_mask({3}, 1, Key{}, host), Error);
}

Tensors packed_inputs(const std::vector<std::int64_t>& lengths, std::int64_t width) {
  const std::int64_t rows = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  return {{"q", numbers({rows, width}, 1, 2)}, {"k", numbers({rows, width}, 2, 2)}, {"v", numbers({rows, width}, 3)}};
}

Function by_library(const std::vector<std::int64_t>& lengths, std::int64_t heads, double p, std::uint64_t key = 4) {
  return [=](const Tensors& t, WeightQueue*) {
    return ops::library::packed_attention(t.at("q"), t.at("k"), t.at("v"), at::tensor(lengths, at::kLong), heads, p, derive_key(Draw::dropout, {key}));
  };
}

TEST(Library, packed_attention_equals_the_kernel_in_single_precision_for_sequences_of_any_lengths) {
  for (const auto& lengths : std::vector<std::vector<std::int64_t>>{{7}, {1, 2, 33}, {64, 31, 65, 64}, {130, 5, 200, 0, 1}, {3, 3, 3}})
    for (const auto& [width, heads] : {std::pair{12, 3}, std::pair{64, 1}}) {
      const Tensors inputs = floats(packed_inputs(lengths, width));
      const Function kernel = [&, heads = heads](const Tensors& t, WeightQueue*) {
        return ops::packed_attention(t.at("q"), t.at("k"), t.at("v"), at::tensor(lengths, at::kLong), heads, 0, Key{});
      };
      expect_close(evaluate(inputs, by_library(lengths, heads, 0)), evaluate(inputs, kernel), 1e-5);
      const c10::NoGradGuard no_gradients;
      EXPECT_TRUE(by_library(lengths, heads, 0)(inputs, nullptr).equal(evaluate(inputs, by_library(lengths, heads, 0)).value));
    }
}

TEST(Library, packed_attention_takes_no_sequences_and_empty_ones) {
  for (const auto& lengths : std::vector<std::vector<std::int64_t>>{{}, {0, 0}}) {
    const Evaluation nothing = evaluate(packed_inputs(lengths, 6), by_library(lengths, 2, 0.3));
    EXPECT_EQ(nothing.value.sizes(), (std::vector<std::int64_t>{0, 6}));
  }
}

TEST(Library, packed_attention_has_the_gradients_that_differences_give_with_and_without_dropped_weights) {
  for (const auto& lengths : std::vector<std::vector<std::int64_t>>{{5, 1, 9, 6}, {4, 4, 0, 4}})
    for (const double p : {0.0, 0.3}) expect_gradients_by_differences(packed_inputs(lengths, 6), by_library(lengths, 2, p));
}

TEST(Library, packed_attention_drops_weights_at_its_rate_anew_for_every_key) {
  const Tensors equal{{"q", at::zeros({160, 4})}, {"k", at::zeros({160, 4})}, {"v", at::ones({160, 4})}};  // a row's sum tells how many were kept
  const auto run = [&](std::uint64_t key) { return by_library({100, 60}, 4, 0.2, key)(equal, nullptr); };
  const at::Tensor once = run(1);
  EXPECT_TRUE(once.equal(run(1)));
  EXPECT_FALSE(once.equal(run(2)));
  EXPECT_NEAR(once.mean().item<double>(), 1, 0.01);
  EXPECT_NEAR(once.narrow(0, 0, 100).std().item<double>(), std::sqrt(0.2 / 0.8 / 100), 0.01);
  EXPECT_FALSE(once.select(1, 0).equal(once.select(1, 1))) << "heads";
}

TEST(Library, packed_attention_keeps_nan_inside_its_sequence) {
  Tensors inputs = floats(packed_inputs({4, 6}, 4));
  for (auto& [name, tensor] : inputs) tensor.narrow(0, 0, 4).fill_(std::nan(""));
  const Evaluation result = evaluate(inputs, by_library({4, 6}, 2, 0));
  EXPECT_TRUE(result.value.narrow(0, 0, 4).isnan().all().item<bool>());
  EXPECT_TRUE(result.value.narrow(0, 4, 6).isfinite().all().item<bool>());
  for (const auto& [name, gradient] : result.gradients) EXPECT_TRUE(gradient.narrow(0, 4, 6).isfinite().all().item<bool>()) << name;
}

TEST(Library, lstm_equals_the_kernel_and_has_the_gradients_that_differences_give) {
  const auto inputs_of = [](std::int64_t records, std::int64_t length) {
    return Tensors{{"x", numbers({records, length, 5}, 1, 2)},
                   {"w_ih", numbers({24, 5}, 2, 0.6)},
                   {"w_hh", numbers({24, 6}, 3, 0.6)},
                   {"b_ih", numbers({24}, 4, 0.5)},
                   {"b_hh", numbers({24}, 5, 0.5)}};
  };
  const auto weights = [](const Tensors& t) { return ops::LstmWeights{t.at("w_ih"), t.at("w_hh"), t.at("b_ih"), t.at("b_hh")}; };
  const Function library = [&](const Tensors& t, WeightQueue* queue) { return ops::library::lstm(t.at("x"), weights(t), queue); };
  const Function kernel = [&](const Tensors& t, WeightQueue* queue) { return ops::lstm(t.at("x"), weights(t), queue); };
  for (const auto& [records, length] : std::vector<std::array<std::int64_t, 2>>{{3, 7}, {1, 1}, {0, 4}, {17, 2}}) {
    expect_close(evaluate(floats(inputs_of(records, length)), library), evaluate(floats(inputs_of(records, length)), kernel), 1e-5);
    expect_close(evaluate(inputs_of(records, length), library), evaluate(inputs_of(records, length), kernel), 1e-12);
  }
  expect_gradients_by_differences(inputs_of(2, 4), library);
}

}  // namespace
}  // namespace tributary
