// Attention in chunks against the formula written out, forward and all gradients.
#include "model/layers/operators.h"
#include "unit/model/gradients.h"

namespace tributary {
namespace {

using namespace testing_support;

struct AttentionShape {
  std::vector<std::int64_t> lengths;
  std::int64_t positions = 0, heads = 0, width = 0;
  bool context = true;
};

// [mass | context] of every position.
Function chunked(const AttentionShape& shape) {
  return [=](const Tensors& t, WeightQueue*) {
    const ops::AttentionResult result = ops::global_attention({t.at("q"), t.at("k"), shape.context ? t.at("v") : at::Tensor(), t.at("lengths"), shape.heads});
    return shape.context ? at::cat({result.mass.unsqueeze(2), result.context}, 2) : result.mass.unsqueeze(2);
  };
}

Function written_out(const AttentionShape& shape) {
  return [=](const Tensors& t, WeightQueue*) {
    const auto records = static_cast<std::int64_t>(shape.lengths.size());
    const auto split = [&](const char* name) { return t.at(name).view({records, shape.positions, shape.heads, shape.width}).transpose(1, 2); };
    const at::Tensor valid = at::arange(shape.positions).lt(t.at("lengths").unsqueeze(1));
    const at::Tensor scores = at::matmul(split("q"), split("k").transpose(2, 3)) / std::sqrt(static_cast<double>(shape.width));
    const at::Tensor weights = ops::masked_softmax(scores, valid.unsqueeze(1).unsqueeze(3).logical_and(valid.unsqueeze(1).unsqueeze(2)));
    const at::Tensor mass = (weights.sum({1, 2}) / static_cast<double>(shape.heads)).unsqueeze(2);
    if (!shape.context) return mass;
    return at::cat({mass, at::matmul(weights, split("v")).transpose(1, 2).reshape({records, shape.positions, shape.heads * shape.width})}, 2);
  };
}

Tensors inputs_of(const AttentionShape& shape) {
  const auto records = static_cast<std::int64_t>(shape.lengths.size());
  const std::vector<std::int64_t> size{records, shape.positions, shape.heads * shape.width};
  at::Tensor lengths = at::empty({records}, at::kLong);
  std::copy(shape.lengths.begin(), shape.lengths.end(), lengths.data_ptr<std::int64_t>());
  return {{"q", numbers(size, 1, 3)}, {"k", numbers(size, 2, 3)}, {"v", numbers(size, 3)}, {"lengths", lengths}};
}

TEST(GlobalAttention, in_chunks_equals_the_formula_and_its_gradients) {
  const std::vector<AttentionShape> shapes = {{{5, 0, 7, 1}, 7, 2, 3},            // short records, all at once; one is empty
                                              {{0, 0}, 4, 2, 2},                  // nothing at all
                                              {{600, 3, 900}, 900, 2, 1},         // longer than a chunk: queries in parts
                                              {{300, 290, 10, 300}, 310, 4, 1}};  // a few records a chunk
  for (AttentionShape shape : shapes) {
    for (const bool context : {true, false}) {
      shape.context = context;
      const Tensors inputs = inputs_of(shape);
      expect_close(evaluate(inputs, chunked(shape)), evaluate(inputs, written_out(shape)), 1e-11);
    }
  }
}

TEST(GlobalAttention, gradients_equal_finite_differences) {
  const AttentionShape shape{{4, 0, 6}, 6, 2, 3};
  expect_gradients_by_differences(inputs_of(shape), chunked(shape));
}

TEST(GlobalAttention, mass_of_the_valid_positions_has_mean_one) {
  const AttentionShape shape{{5, 3}, 6, 2, 3, false};
  const at::Tensor mass = evaluate(inputs_of(shape), chunked(shape)).value.squeeze(2);
  EXPECT_NEAR(mass[0].sum().item<double>(), 5, 1e-12);
  EXPECT_NEAR(mass[1].sum().item<double>(), 3, 1e-12);
  EXPECT_EQ(mass[1].narrow(0, 3, 3).abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace tributary
