#include "train/run_costs.h"

#include <gmock/gmock.h>

#include "support/model_leaves.h"
#include "train/block_costs.h"

namespace tributary {
namespace {

using testing_support::model_leaves;
using testing_support::ModelLeaf;

ModelLeaf leaf_of(const std::string& name) {
  for (ModelLeaf& leaf : model_leaves())
    if (leaf.name == name) return leaf;
  ADD_FAILURE() << name;
  return model_leaves().front();
}

// A leaf of a frozen encoder that is wide enough to tell its tensors from the engine's own memory.
ModelLeaf frozen_leaf() {
  ModelLeaf leaf = leaf_of("lm_hhda timeline");
  leaf.settings.text.freeze = "all";
  leaf.settings.text.width = 64;
  leaf.settings.text.layers = 2;
  return leaf;
}

std::vector<BlockCost> measured(const ModelLeaf& leaf, bool training, const std::function<void()>& alive = {}) {
  const BlockList model = build_model(leaf.settings, leaf.schema, testing_support::random_vocabulary);
  const ParameterLayout layout = make_layout(model.parameters);
  const at::Tensor arena = make_arena(layout, at::kFloat);
  initialise(layout, arena, 1);
  LeafContext context;
  context.training = training;
  context.label_counts = leaf.label_counts;
  return measure_blocks(model, arena, {{context, &leaf.batch}}, alive, 2);
}

TEST(RunCosts, of_an_encoder_whose_hidden_states_come_from_a_cache_are_nothing) {
  ModelLeaf leaf = frozen_leaf();
  const BlockList model = build_model(leaf.settings, leaf.schema, testing_support::random_vocabulary);
  const std::vector<BlockCost> encoded = measured(leaf, true);
  leaf.batch.notes.hidden = made_up_hidden(leaf.batch, model, leaf.settings.text.width);
  EXPECT_EQ(leaf.batch.notes.hidden.size(0), leaf.batch.notes.window_lengths.sum().item<std::int64_t>());
  const std::vector<BlockCost> cached = measured(leaf, true);
  const std::int64_t bytes = leaf.batch.notes.hidden.nbytes();
  int compared = 0;
  for (std::size_t b = 0; b < model.blocks.size(); ++b) {
    if (!model.blocks[b].name.starts_with("text.")) continue;
    ++compared;
#ifndef __SANITIZE_ADDRESS__  // the sanitizer's heap is not the one that is asked for its size
    EXPECT_GE(encoded[b].activation_bytes, bytes) << model.blocks[b].name;
#endif
    EXPECT_LT(cached[b].activation_bytes, bytes / 4) << model.blocks[b].name;
    EXPECT_EQ(cached[b].gives_bytes, encoded[b].gives_bytes) << "what travels between stages is as large as ever";
  }
  EXPECT_EQ(compared, 3) << "embeddings and two layers";
}

TEST(RunCosts, of_marked_pairs_from_a_cache_have_a_row_for_each_pair) {
  const ModelLeaf leaf = leaf_of("text_bert");
  const BlockList model = build_model(leaf.settings, leaf.schema, testing_support::random_vocabulary);
  ASSERT_TRUE(model.marked_pairs.has_value());
  const std::int64_t pairs = leaf.batch.pairs.at(*model.marked_pairs).record.size(0);
  ASSERT_NE(pairs, leaf.batch.notes.window_lengths.sum().item<std::int64_t>());
  EXPECT_EQ(made_up_hidden(leaf.batch, model, 16).sizes(), (std::vector<std::int64_t>{pairs, 16}));
}

TEST(RunCosts, of_an_evaluation_are_those_of_forward_alone) {
  const ModelLeaf leaf = leaf_of("lm_hhda timeline");
  double forward = 0, backward = 0, trained_backward = 0;
  for (const BlockCost& cost : measured(leaf, false)) {
    forward += cost.forward_s;
    backward += cost.backward_input_s + cost.backward_weight_s;
  }
  for (const BlockCost& cost : measured(leaf, true)) trained_backward += cost.backward_input_s + cost.backward_weight_s;
  EXPECT_GT(forward, 0);
  EXPECT_EQ(backward, 0);
  EXPECT_GT(trained_backward, 0);
}

TEST(RunCosts, give_a_sign_of_life_with_each_operation_of_a_block) {
  const ModelLeaf leaf = leaf_of("lm_hhda timeline");
  std::size_t signs = 0;
  const std::size_t blocks = measured(leaf, true, [&] { ++signs; }).size();
  EXPECT_GE(signs, 3 * 3 * blocks) << "three rounds of forward and both halves of backward";
}

}  // namespace
}  // namespace tributary
