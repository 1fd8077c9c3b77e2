// Nothing of a leaf stays behind: an operator that keeps its own output makes a cycle of graph and tensor that is never freed.
#include <gtest/gtest.h>
#include <malloc.h>

#include "support/model_run.h"
#include "support/random_batch.h"

namespace tributary {
namespace {

using testing_support::random_leaf;
using testing_support::random_vocabulary;
using testing_support::run_model;
using testing_support::TestModel;

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

constexpr int leaves = 25;

// Bytes that so many leaves leave behind, forward and backward with dropout.
std::size_t left_behind(const TestModel& model, const Batch& batch) {
  LeafContext context;
  context.training = true;
  context.label_counts.assign(model.list.tasks.size() + 8, 5);
  for (int warm_up = 0; warm_up < 3; ++warm_up) static_cast<void>(run_model(model, batch, context));
  const std::size_t before = bytes_in_use();
  for (int leaf = 0; leaf < leaves; ++leaf) static_cast<void>(run_model(model, batch, context));
  const std::size_t after = bytes_in_use();
  return after > before ? after - before : 0;
}

void expect_nothing_left(const ModelSettings& settings, const Schema& schema, const Batch& batch) {
  TestModel model(settings, schema, random_vocabulary, at::kFloat);
  model.randomise();
  // The heap's own holes were seen to grow to 28 KB; one activation of 640 numbers kept a leaf is more.
  EXPECT_LT(left_behind(model, to_type(batch, at::kFloat)), leaves * 640 * sizeof(float)) << settings.model.mode << " " << settings.lstm.transform;
}

std::vector<ModelSettings> measured_settings() {
  std::vector<ModelSettings> all(3, testing_support::small_settings());
  all[0].text.dropout = all[0].model.dropout = 0.2;
  all[1].lstm.transform = "conv1d";
  all[1].attention.kind = "gate+context";
  all[2].lstm.transform = "self_attention";
  all[2].cnn.fusion = "add";
  return all;
}

TEST(ModelMemory, of_a_leaf_is_given_back_in_timeline_mode) {
  const Schema schema = testing_support::random_schema(9);
  for (const ModelSettings& settings : measured_settings()) expect_nothing_left(settings, schema, random_leaf(schema, testing_support::mixed_records(9), 0));
}

TEST(ModelMemory, of_a_leaf_is_given_back_in_tokens_mode) {
  const Schema schema = testing_support::random_text_schema();
  const Batch batch = random_leaf(schema, {{3, 1, false, false, 2}, {4, 1, false, false, 1}, {5, 1, false, false, 3}}, 0);
  for (ModelSettings settings : measured_settings()) {
    settings.model.mode = "tokens";
    settings.heads.relation_layers = {5, 4};
    expect_nothing_left(settings, schema, batch);
  }
}

}  // namespace
}  // namespace tributary
