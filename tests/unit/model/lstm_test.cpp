#include <cmath>
#include <limits>

#include "model/layers/lstm_cell.h"
#include "model/layers/operators.h"
#include "unit/model/gradients.h"

namespace tributary {
namespace {

using namespace testing_support;

Tensors lstm_inputs(std::int64_t records, std::int64_t length, std::int64_t in, std::int64_t width, at::ScalarType type = at::kDouble) {
  return {{"x", numbers({records, length, in}, 1, 2, type)},
          {"w_ih", numbers({4 * width, in}, 2, 0.6, type)},
          {"w_hh", numbers({4 * width, width}, 3, 0.6, type)},
          {"b_ih", numbers({4 * width}, 4, 0.5, type)},
          {"b_hh", numbers({4 * width}, 5, 0.5, type)}};
}

at::Tensor ours(const Tensors& t, WeightQueue* queue) { return ops::lstm(t.at("x"), {t.at("w_ih"), t.at("w_hh"), t.at("b_ih"), t.at("b_hh")}, queue); }

at::Tensor reference(const Tensors& t, WeightQueue*) {
  const at::Tensor zero = at::zeros({1, t.at("x").size(0), t.at("w_hh").size(1)}, t.at("x").options().requires_grad(false));
  return std::get<0>(at::lstm(t.at("x"), {zero, zero}, {t.at("w_ih"), t.at("w_hh"), t.at("b_ih"), t.at("b_hh")}, true, 1, 0.0, false, false, true));
}

TEST(Lstm, equals_the_reference_with_all_gradients_in_double) {
  for (const auto& [records, length, in, width] :
       std::vector<std::array<std::int64_t, 4>>{{3, 5, 4, 6}, {1, 7, 3, 16}, {4, 1, 2, 5}, {1, 1, 1, 1}, {5, 3, 2, 33}, {17, 4, 3, 48}, {31, 3, 20, 40}}) {
    const Tensors inputs = lstm_inputs(records, length, in, width);
    expect_close(evaluate(inputs, ours), evaluate(inputs, reference), 1e-12);
  }
}

TEST(Lstm, has_the_gradients_that_differences_give) { expect_gradients_by_differences(lstm_inputs(2, 4, 3, 5), ours); }

TEST(Lstm, takes_no_records) {
  const Evaluation nothing = evaluate(lstm_inputs(0, 4, 3, 5), ours);
  EXPECT_EQ(nothing.value.sizes(), (std::vector<std::int64_t>{0, 4, 5}));
  EXPECT_EQ(nothing.gradients.at("w_hh").abs().max().item<double>(), 0);
}

TEST(Lstm, is_in_single_precision_as_near_to_the_exact_values_as_the_reference) {
  for (const std::int64_t records : {1, 3, 8, 16, 29}) {
    const Tensors inputs = lstm_inputs(records, 9, 13, 40, at::kFloat);
    Tensors wide;
    for (const auto& [name, tensor] : inputs) wide[name] = tensor.to(at::kDouble);
    const Evaluation single = evaluate(inputs, ours), peer = evaluate(inputs, reference), exact = evaluate(wide, reference);
    ASSERT_EQ(single.value.scalar_type(), at::kFloat);
    EXPECT_LE(difference(single.value, exact.value), 2 * difference(peer.value, exact.value) + 1e-6);
    for (const auto& [name, gradient] : exact.gradients) {
      EXPECT_LE(difference(single.gradients.at(name), gradient), 2 * difference(peer.gradients.at(name), gradient) + 2e-6) << name << " " << records;
    }
  }
}

TEST(Lstm, gives_the_same_bits_every_time_and_with_or_without_recording) {
  for (const std::int64_t records : {1, 7, 16}) {
    const Tensors inputs = lstm_inputs(records, 6, 12, 40, at::kFloat);
    const Evaluation first = evaluate(inputs, ours), second = evaluate(inputs, ours);
    EXPECT_TRUE(first.value.equal(second.value));
    for (const auto& [name, gradient] : first.gradients) EXPECT_TRUE(gradient.equal(second.gradients.at(name))) << name;
    const c10::NoGradGuard no_gradients;
    EXPECT_TRUE(ours(inputs, nullptr).equal(first.value));
  }
}

TEST(Lstm, gives_weight_gradients_when_the_input_needs_none) {
  const Tensors inputs = lstm_inputs(3, 5, 4, 6);
  const Evaluation all = evaluate(inputs, ours), some = evaluate(inputs, ours, {"x", "b_hh"});
  EXPECT_EQ(some.gradients.size(), 3U);
  for (const auto& [name, gradient] : some.gradients) EXPECT_TRUE(gradient.equal(all.gradients.at(name))) << name;
}

TEST(Lstm, hands_nan_of_one_record_to_no_other) {
  Tensors inputs = lstm_inputs(3, 4, 3, 20, at::kFloat);
  inputs["x"][1].fill_(std::numeric_limits<double>::quiet_NaN());
  const c10::NoGradGuard no_gradients;
  const at::Tensor y = ours(inputs, nullptr);
  EXPECT_TRUE(y[1].isnan().all().item<bool>());
  EXPECT_TRUE(y[0].isfinite().all().item<bool>());
  EXPECT_TRUE(y[2].isfinite().all().item<bool>());
}

// One cell whose forget gate is shut and whose input gate is open: h and the stored gates are the bare functions.
struct Cell {
  float sigmoid, tangent;
};

Cell cell_at(float x) {
  float gates[4] = {x, -100.0F, x, 0.0F};
  const float before = 0;
  float c = 0, tanh_c = 0, h = 0;
  lstm_cell_forward(1, 1, gates, &before, &c, &tanh_c, &h);
  return {gates[0], gates[2]};
}

double ulps(float value, double exact) {
  const double unit = std::nextafter(std::abs(static_cast<float>(exact)), std::numeric_limits<float>::infinity()) - std::abs(static_cast<float>(exact));
  return std::abs(value - exact) / unit;
}

TEST(LstmCell, has_gates_within_three_units_in_the_last_place) {
  double worst_sigmoid = 0, worst_tangent = 0;
  int compared = 0;
  for (double x = -30; x <= 30; x += 0.00137, ++compared) {
    const auto point = static_cast<float>(x);
    const Cell cell = cell_at(point);
    worst_sigmoid = std::max(worst_sigmoid, ulps(cell.sigmoid, 1 / (1 + std::exp(-static_cast<double>(point)))));
    worst_tangent = std::max(worst_tangent, ulps(cell.tangent, std::tanh(static_cast<double>(point))));
  }
  for (float x = 1e-30F; x < 1; x *= 1.1F, ++compared) worst_tangent = std::max(worst_tangent, ulps(cell_at(x).tangent, std::tanh(static_cast<double>(x))));
  EXPECT_GT(compared, 40000);
  EXPECT_LE(worst_sigmoid, 3);
  EXPECT_LE(worst_tangent, 3);
}

TEST(LstmCell, saturates_and_passes_nan_on) {
  EXPECT_EQ(cell_at(1e30F).sigmoid, 1);
  EXPECT_EQ(cell_at(1e30F).tangent, 1);
  EXPECT_EQ(cell_at(-1e30F).tangent, -1);
  EXPECT_LT(cell_at(-1e30F).sigmoid, 1e-37F);
  EXPECT_GE(cell_at(-1e30F).sigmoid, 0);
  EXPECT_EQ(cell_at(0).tangent, 0);
  EXPECT_EQ(cell_at(0).sigmoid, 0.5F);
  EXPECT_TRUE(std::isnan(cell_at(std::numeric_limits<float>::quiet_NaN()).tangent));
  EXPECT_TRUE(std::isnan(cell_at(std::numeric_limits<float>::quiet_NaN()).sigmoid));
}

TEST(LstmCell, computes_a_cell_by_the_same_bits_wherever_it_stands) {
  constexpr std::int64_t width = 37;
  std::vector<float> gates(4 * width), before(width), c(width), tanh_c(width), h(width), dh(width), dc(width), dgates(4 * width);
  for (std::int64_t j = 0; j < width; ++j) {
    const auto k = static_cast<std::size_t>(j);
    for (const std::size_t gate : {0, 1, 2, 3}) gates[gate * width + k] = 0.3F + 0.5F * static_cast<float>(gate);
    before[k] = 0.7F;
    dh[k] = 0.9F;
    dc[k] = -0.4F;
  }
  lstm_cell_forward(1, width, gates.data(), before.data(), c.data(), tanh_c.data(), h.data());
  lstm_cell_backward(1, width, gates.data(), before.data(), tanh_c.data(), dh.data(), dc.data(), dgates.data());
  for (std::size_t j = 1; j < width; ++j) {
    EXPECT_EQ(h[j], h[0]);
    EXPECT_EQ(c[j], c[0]);
    EXPECT_EQ(dc[j], dc[0]);
    for (const std::size_t gate : {0, 1, 2, 3}) EXPECT_EQ(dgates[gate * width + j], dgates[gate * width]);
  }
}

}  // namespace
}  // namespace tributary
