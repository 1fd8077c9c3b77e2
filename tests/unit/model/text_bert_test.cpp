// What must hold in text_bert whatever the parameters: pairs of their own, leaves without pairs, vectors from a cache, refusals.
#include <gmock/gmock.h>

#include "base/error.h"
#include "model/families/encoder.h"
#include "model/report.h"
#include "support/model_run.h"

namespace tributary {
namespace {

using testing_support::evaluate_model;
using testing_support::ModelResult;
using testing_support::run_model;
using testing_support::TestModel;

constexpr std::int64_t known_words = 30;

Schema pair_schema() {
  Schema schema;
  schema.notes = true;
  schema.concept_types = {"drug", "disease"};
  schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}, {"relation", TaskKind::relation, {"none", "causes", "treats"}, {{0, 1}, {1, 0}}}};
  return schema;
}

ModelSettings pair_settings() {
  ModelSettings settings = testing_support::small_settings();
  settings.model.family = "text_bert";
  return settings;
}

// Pairs `numbers` of one record: sequences of 2 to 9 tokens that belong to the number of the pair.
Batch pair_batch(const std::vector<std::int64_t>& numbers, std::int64_t padding = 0) {
  const auto pairs = static_cast<std::int64_t>(numbers.size());
  Batch batch;
  batch.places = {{0, 0}};
  batch.notes.window_ids = at::full({pairs, 10}, padding, at::kLong);
  batch.notes.window_lengths = at::empty({pairs}, at::kLong);
  const at::Tensor label = at::empty({pairs}, at::kLong);
  for (std::int64_t p = 0; p < pairs; ++p) {
    const std::int64_t number = numbers[static_cast<std::size_t>(p)], tokens = 2 + number % 8;
    batch.notes.window_lengths[p] = tokens;
    for (std::int64_t i = 0; i < tokens; ++i) batch.notes.window_ids[p][i] = (7 * number + 3 * i * i) % known_words;
    label[p] = number % 3;
  }
  const at::Tensor zeros = at::zeros({pairs}, at::kLong);
  batch.pairs = {{}, {zeros, zeros, zeros, label, label.ge(0)}};
  batch.labels = {{at::zeros({1, 1}, at::kDouble), at::zeros({1}, at::kBool)}, {label.to(at::kDouble).unsqueeze(1), label.ge(0)}};
  return batch;
}

LeafContext bert_context(bool training) {
  LeafContext context;
  context.seed = 3;
  context.training = training;
  context.label_counts = {4, 9};
  return context;
}

TEST(TextBert, each_pair_alone_equals_the_pair_in_its_leaf_whatever_the_padding) {
  TestModel model(pair_settings(), pair_schema(), known_words);
  model.randomise();
  const std::vector<std::int64_t> numbers{3, 1, 6, 2, 15, 0, 11};
  const at::Tensor together = evaluate_model(model, pair_batch(numbers, 1LL << 40), bert_context(false)).outputs.at("probability.relation");
  ASSERT_EQ(together.size(0), 7);
  for (std::size_t p = 0; p < numbers.size(); ++p) {
    const at::Tensor alone = evaluate_model(model, pair_batch({numbers[p]}), bert_context(false)).outputs.at("probability.relation");
    EXPECT_LE((alone[0] - together[static_cast<std::int64_t>(p)]).abs().max().item<double>(), 1e-12);
  }
  EXPECT_GT((together[0] - together[1]).abs().max().item<double>(), 1e-3);
}

TEST(TextBert, a_leaf_without_pairs_runs_and_has_no_gradient) {
  for (const char* freeze : {"none", "1", "all"}) {
    ModelSettings settings = pair_settings();
    settings.text.freeze = freeze;
    TestModel model(settings, pair_schema(), known_words);
    model.randomise();
    const ModelResult result = run_model(model, pair_batch({}), bert_context(true));
    EXPECT_EQ(result.outputs.at("probability.relation").sizes().vec(), (std::vector<std::int64_t>{0, 3}));
    EXPECT_EQ(result.outputs.at("loss").item<double>(), 0);
    EXPECT_EQ(result.gradient.abs().max().item<double>(), 0);
  }
}

TEST(TextBert, vectors_from_a_cache_give_the_same_bits_as_the_frozen_encoder) {
  ModelSettings settings = pair_settings();
  settings.text.freeze = "all";
  TestModel model(settings, pair_schema(), known_words, at::kFloat);
  model.randomise();
  Batch batch = to_type(pair_batch({3, 1, 6, 2, 15, 0, 11}), at::kFloat);
  const ModelResult computed = run_model(model, batch, bert_context(true));
  model.list.outputs.emplace_back("text.hidden.2");
  const at::Tensor hidden = evaluate_model(model, batch, bert_context(false)).outputs.at("text.hidden.2");
  model.list.outputs.pop_back();
  ASSERT_EQ(hidden.size(0), batch.notes.window_lengths.sum().item<std::int64_t>());
  batch.notes.hidden = hidden.index_select(0, first_rows(batch.notes.window_lengths));
  const ModelResult read = run_model(model, batch, bert_context(true));
  for (const auto& [name, value] : computed.outputs) EXPECT_TRUE(at::equal(value, read.outputs.at(name))) << name;
  EXPECT_TRUE(at::equal(computed.gradient, read.gradient));
  EXPECT_GT(read.gradient.abs().max().item<double>(), 1e-3);
}

TEST(TextBert, drops_out_of_the_vectors_of_cls_in_training_alone) {
  ModelSettings settings = pair_settings();
  settings.text.freeze = "all";
  settings.model.dropout = 0.5;
  TestModel model(settings, pair_schema(), known_words);
  model.randomise();
  const Batch batch = pair_batch({3, 1, 6, 2});
  const at::Tensor evaluated = evaluate_model(model, batch, bert_context(false)).outputs.at("probability.relation");
  EXPECT_TRUE(at::equal(run_model(model, batch, bert_context(false)).outputs.at("probability.relation"), evaluated));
  EXPECT_FALSE(at::equal(run_model(model, batch, bert_context(true)).outputs.at("probability.relation"), evaluated));
}

TEST(TextBert, has_the_parameters_of_its_encoder_and_one_linear_layer) {
  const BlockList list = build_model(pair_settings(), pair_schema(), known_words);
  std::map<std::string, std::int64_t> parts;
  for (const PartCount& part : count_parts(make_layout(list.parameters))) parts[part.part] = part.trainable;
  EXPECT_EQ(parts.at("relation"), 3 * 8 + 3);
  EXPECT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts.at("encoder.embeddings"), (known_words + 10 + 2) * 8 + 2 * 8);
  EXPECT_EQ(list.marked_pairs, std::optional<std::size_t>(1));
  EXPECT_EQ(list.tasks, std::vector<std::size_t>{1});
}

TEST(TextBert, refuses_what_it_cannot_predict) {
  const auto refused = [](const Schema& schema, const std::function<void(ModelSettings&)>& change, const char* why) {
    ModelSettings settings = pair_settings();
    change(settings);
    EXPECT_THAT([&] { (void)build_model(settings, schema, known_words); }, testing::ThrowsMessage<Error>(testing::HasSubstr(why)));
  };
  const auto nothing = [](ModelSettings&) {};
  Schema records = pair_schema(), two = pair_schema();
  records.tasks.pop_back();
  two.tasks.push_back(two.tasks.back());
  two.tasks.back().name = "other";
  refused(records, nothing, "expected a data set with a relation task");
  refused(two, nothing, "expected at most one relation task, found 'relation' and 'other'");
  refused(
      pair_schema(), [](ModelSettings& s) { s.heads.tasks = {"mortality"}; }, "'mortality' is none");
  refused(
      pair_schema(),
      [](ModelSettings& s) {
        s.heads.tasks = {"mortality", "relation"};
      },
      "'mortality' is none");
  refused(
      pair_schema(), [](ModelSettings& s) { s.heads.tasks = {"unknown"}; }, "expected tasks of the data set");
  refused(
      pair_schema(), [](ModelSettings& s) { s.text.cache = "somewhere"; }, "text.cache needs text.freeze");
  ModelSettings chosen = pair_settings();
  chosen.heads.tasks = {"other"};
  EXPECT_EQ(build_model(chosen, two, known_words).marked_pairs, std::optional<std::size_t>(2));
}

}  // namespace
}  // namespace tributary
