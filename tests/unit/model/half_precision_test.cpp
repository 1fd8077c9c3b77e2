// Whole models in half precision against float32, through the engine.
#include <gtest/gtest.h>

#include "support/model_leaves.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Bounds {
  double loss, cosine, length;
};

// Measured: cosines of 0.966 and 0.998, lengths within 0.147 (0.153 on a GPU) and 0.014, worst where few positions are pooled and in the first layer behind a
// ReLU.
void expect_near_single_precision(const Place& place, const Bounds& bounds) {
  for (const ModelLeaf& leaf : model_leaves()) {
    SCOPED_TRACE(leaf.name);
    const TestModel model = model_of(leaf);
    const ModelResult single = run_at(model, leaf, {}), half = run_at(model, leaf, place);
    const double loss = single.outputs.at(loss_name).item<double>();
    ASSERT_GT(loss, 0.1);
    EXPECT_NEAR(half.outputs.at(loss_name).item<double>(), loss, bounds.loss * loss);
    const GradientComparison gradients = compare_gradients(model, half.gradient / place.loss_scale, single.gradient);
    EXPECT_GE(gradients.compared, model.layout.entries.size() / 3);
    EXPECT_GE(gradients.lowest_cosine, bounds.cosine) << gradients.of;
    EXPECT_LE(gradients.largest_length, bounds.length);
    ASSERT_EQ(half.outputs.size(), single.outputs.size());
    for (const auto& [name, output] : single.outputs) {
      EXPECT_EQ(half.outputs.at(name).scalar_type(), name == loss_sums_name ? at::kDouble : at::kFloat) << name;
      EXPECT_EQ(half.outputs.at(name).sizes(), output.sizes()) << name;
    }
  }
}

TEST(HalfPrecision, bfloat16_has_the_loss_and_the_direction_of_every_gradient) { expect_near_single_precision({at::kCPU, at::kBFloat16}, {0.02, 0.95, 0.2}); }
TEST(HalfPrecision, float16_with_a_loss_scale_has_the_loss_and_every_gradient) {
  expect_near_single_precision({at::kCPU, at::kHalf, 1024}, {0.003, 0.995, 0.03});
}

TEST(HalfPrecision, the_loss_scale_is_a_factor_of_every_gradient_and_of_no_output) {
  const ModelLeaf leaf = model_leaves().front();
  const TestModel model = model_of(leaf);
  const ModelResult plain = run_at(model, leaf, {}), scaled = run_at(model, leaf, {at::kCPU, at::kFloat, 1024});
  EXPECT_TRUE(scaled.gradient.equal(plain.gradient * 1024));  // a power of two: the same bits but for the exponent
  EXPECT_GT(plain.gradient.abs().max().item<double>(), 1e-3);
  for (const auto& [name, output] : plain.outputs) EXPECT_TRUE(scaled.outputs.at(name).equal(output)) << name;
}

TEST(HalfPrecision, dropout_gives_the_same_bits_every_time_and_changes_the_loss) {
  for (const ModelLeaf& leaf : model_leaves()) {
    const TestModel model = model_of(leaf);
    const Place place{at::kCPU, at::kBFloat16, 1, true};
    const ModelResult once = run_at(model, leaf, place), again = run_at(model, leaf, place), without = run_at(model, leaf, {at::kCPU, at::kBFloat16});
    EXPECT_TRUE(once.gradient.equal(again.gradient)) << leaf.name;
    EXPECT_TRUE(once.outputs.at(loss_name).equal(again.outputs.at(loss_name)));
    EXPECT_FALSE(once.outputs.at(loss_name).equal(without.outputs.at(loss_name))) << leaf.name;
    EXPECT_TRUE(once.gradient.isfinite().all().item<bool>());
  }
}

// Messages between stages are made by what blocks tell.
TEST(HalfPrecision, every_block_gives_the_shapes_and_types_that_it_tells) {
  std::size_t compared = 0;
  for (const ModelLeaf& leaf : model_leaves())
    for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
      TestModel model = model_of(leaf);
      model.list.outputs.clear();
      for (const BlockSpec& block : model.list.blocks) model.list.outputs.insert(model.list.outputs.end(), block.gives.begin(), block.gives.end());
      LeafContext context;
      context.label_counts = leaf.label_counts;
      const Batch batch = type == at::kDouble ? to_type(leaf.batch, type) : leaf.batch;  // the engine makes the other types
      const LeafOutput output = Engine(model.list, model.cut).evaluate(model.arena.to(type), {context, &batch});
      std::size_t next = 0;
      for (const BlockSpec& block : model.list.blocks) {
        const auto told = block.shapes ? block.shapes(leaf.batch, context) : std::vector<TensorShape>{};
        for (std::size_t i = 0; i < block.gives.size(); ++i, ++next) {
          if (told.empty()) continue;
          EXPECT_EQ(output.outputs.at(next).scalar_type(), told[i].scalar_type(type)) << leaf.name << ": " << block.gives[i];
          EXPECT_EQ(output.outputs.at(next).sizes(), at::IntArrayRef(told[i].sizes)) << leaf.name << ": " << block.gives[i];
          ++compared;
        }
      }
    }
  EXPECT_GT(compared, 100U);
}

}  // namespace
}  // namespace tributary
