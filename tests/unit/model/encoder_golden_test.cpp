#include <gmock/gmock.h>

#include <algorithm>

#include "model/families/encoder.h"
#include "support/golden.h"
#include "support/model_run.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Limits {
  double output, gradient;
};

// The stored weights and windows through our blocks; the loss is the stored gradient of the hidden state times it.
void expect_golden(at::ScalarType type, const Limits& limits) {
  const auto golden = read_golden("encoder.safetensors");
  TextConfig text;
  text.width = 16;
  text.heads = 4;
  text.intermediate = 24;
  text.positions = 20;
  BlockList list;
  const std::string hidden = add_encoder(list, text, 30);
  const at::Tensor upstream = golden.at("upstream").to(type);
  list.blocks.push_back(
      {"loss", {}, {hidden}, {loss_name}, {}, [&](const BlockInput& in) -> std::vector<at::Tensor> { return {(in.taken[0] * upstream).sum()}; }});
  list.outputs = {hidden};
  const ModelLayout cut = lay_out(list, {0});
  const ParameterLayout& layout = cut.whole;
  const at::Tensor arena = make_arena(layout, type);
  const auto stock = [&](std::size_t e) { return layout.entries[e].spec.name.substr(8); };
  for (std::size_t e = 0; e < layout.entries.size(); ++e) view_of(layout, arena, e).copy_(golden.at("weight." + stock(e)));
  Batch batch;
  batch.notes.window_ids = golden.at("ids");
  batch.notes.window_lengths = golden.at("lengths");
  const testing_support::LeafResult result = testing_support::run_leaf(list, cut, arena, {LeafContext{}, &batch});
  EXPECT_LE((result.outputs.at(0) - golden.at("hidden")).abs().max().item<double>(), limits.output);
  double largest = 0;
  for (std::size_t e = 0; e < layout.entries.size(); ++e) largest = std::max(largest, golden.at("gradient." + stock(e)).norm().item<double>());
  ASSERT_GT(largest, 1);
  std::size_t compared = 0;
  for (std::size_t e = 0; e < layout.entries.size(); ++e, ++compared) {
    const at::Tensor wanted = golden.at("gradient." + stock(e)), found = view_of(layout, result.gradient, e).to(at::kDouble);
    EXPECT_LE(((found - wanted).abs() / wanted.abs().clamp_min(1e-3 * largest)).max().item<double>(), limits.gradient) << stock(e);
  }
  EXPECT_EQ(compared, 5U + 2 * 16);
}

TEST(Encoder, equals_transformers_in_double_with_all_gradients) { expect_golden(at::kDouble, {1e-10, 1e-8}); }
TEST(Encoder, equals_transformers_in_single_precision_as_near_as_rounding_allows) { expect_golden(at::kFloat, {2e-5, 1e-4}); }

}  // namespace
}  // namespace tributary
