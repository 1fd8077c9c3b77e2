// Masked language modelling: equal to transformers, and what must hold whatever the parameters.
#include <gmock/gmock.h>

#include <limits>

#include "base/error.h"
#include "model/report.h"
#include "support/golden.h"
#include "support/model_run.h"
#include "support/random_batch.h"

namespace tributary {
namespace {

using namespace testing_support;
using testing::HasSubstr;

constexpr const char* told_name = "probability.masked_tokens";

ModelSettings mlm_settings() {
  ModelSettings settings = small_settings();
  settings.model.family = "text_mlm";
  return settings;
}

Schema notes_schema() {
  Schema schema;
  schema.steps = 1;
  schema.notes = true;
  return schema;
}

LeafContext masked_context(double count, bool training = true) {
  LeafContext context;
  context.seed = 3;
  context.training = training;
  context.label_counts = {count};
  return context;
}

// Random notes of which every `every`-th token is to be told; padding holds `padding`.
Batch masked_leaf(const std::vector<RandomRecord>& records, std::int64_t every, std::int64_t padding = 0) {
  Batch batch = random_leaf(notes_schema(), records, 0);
  NoteTensors& notes = batch.notes;
  const at::Tensor past = at::arange(notes.window_ids.size(1)).ge(notes.window_lengths.unsqueeze(1));
  notes.window_ids = notes.window_ids.masked_fill(past, padding);
  const std::int64_t count = notes.token_position.size(0);
  const at::Tensor chosen = every > 0 ? at::arange(0, count, every, at::kLong) : at::empty({0}, at::kLong);
  notes.masked_position = notes.token_position.index_select(0, chosen);
  notes.masked_token = (notes.window_ids.reshape({-1}).index_select(0, notes.masked_position) * 7 + 3).remainder(random_vocabulary);
  batch.labels = {{notes.masked_token.to(at::kDouble).unsqueeze(1), at::ones({notes.masked_token.size(0)}, at::kBool)}};
  return batch;
}

std::vector<RandomRecord> some_records() { return {{1, 1, false, false, 2}, {2, 1, false, false, 0}, {5, 1, false, false, 3}, {6, 1, false, false, 1}}; }

// Our parameter of the stock model's, whose shared weight has one name.
std::string stock_name(const std::string& name) { return name.starts_with("encoder.") ? "bert." + name.substr(8) : name; }

void expect_masked_golden(at::ScalarType type, double output_limit, double gradient_limit) {
  const auto golden = read_golden("text_mlm.safetensors");
  ModelSettings settings = mlm_settings();
  settings.text.layers = 1;
  settings.text.width = 12;
  settings.text.heads = 3;
  settings.text.intermediate = 20;
  settings.text.positions = 16;
  TestModel model(settings, notes_schema(), 30, type);
  for (const ParameterEntry& entry : model.layout.entries) model.parameter(entry.spec.name).copy_(golden.at("weight." + stock_name(entry.spec.name)));
  Batch batch;
  batch.notes.window_ids = golden.at("ids");
  batch.notes.window_lengths = golden.at("lengths");
  batch.notes.masked_position = golden.at("positions");
  batch.notes.masked_token = golden.at("tokens");
  const std::int64_t count = batch.notes.masked_token.size(0);
  batch.labels = {{batch.notes.masked_token.to(type).unsqueeze(1), at::ones({count}, at::kBool)}};
  const ModelResult result = run_model(model, batch, masked_context(static_cast<double>(count), false));
  const double loss = golden.at("loss").item<double>();
  EXPECT_NEAR(result.outputs.at(loss_name).item<double>(), loss, output_limit);
  EXPECT_NEAR(result.outputs.at(loss_sums_name).item<double>(), loss * static_cast<double>(count), 5 * output_limit);
  ASSERT_EQ(result.outputs.at(told_name).sizes(), golden.at("told").sizes());
  EXPECT_LE((result.outputs.at(told_name) - golden.at("told")).abs().max().item<double>(), output_limit);
  EXPECT_EQ(golden.at("told").select(1, 1).sum().item<double>(), 2);
  double largest = 0;
  for (const ParameterEntry& entry : model.layout.entries)
    largest = std::max(largest, golden.at("gradient." + stock_name(entry.spec.name)).norm().item<double>());
  ASSERT_GT(largest, 0.2);
  std::size_t compared = 0;
  for (std::size_t e = 0; e < model.layout.entries.size(); ++e, ++compared) {
    const std::string name = stock_name(model.layout.entries[e].spec.name);
    const at::Tensor wanted = golden.at("gradient." + name), found = view_of(model.layout, result.gradient, e).to(at::kDouble);
    EXPECT_LE(((found - wanted).abs() / wanted.abs().clamp_min(1e-3 * largest)).max().item<double>(), gradient_limit) << name;
  }
  EXPECT_EQ(compared, 5U + 16U + 5U);
}

TEST(TextMlm, equals_transformers_in_double_with_all_gradients) { expect_masked_golden(at::kDouble, 1e-10, 1e-8); }
TEST(TextMlm, equals_transformers_in_single_precision_as_near_as_rounding_allows) { expect_masked_golden(at::kFloat, 2e-5, 1e-4); }

TEST(TextMlm, padding_may_hold_anything) {
  TestModel model(mlm_settings(), notes_schema(), random_vocabulary, at::kFloat);
  model.randomise();
  const ModelResult a = run_model(model, to_type(masked_leaf(some_records(), 3), at::kFloat), masked_context(9));
  const ModelResult b = run_model(model, to_type(masked_leaf(some_records(), 3, 1LL << 40), at::kFloat), masked_context(9));
  EXPECT_TRUE(at::equal(a.outputs.at(told_name), b.outputs.at(told_name)));
  EXPECT_TRUE(at::equal(a.gradient, b.gradient));
  EXPECT_GT(a.gradient.abs().max().item<double>(), 0.01);
}

TEST(TextMlm, each_record_alone_equals_the_record_in_its_leaf) {
  TestModel model(mlm_settings(), notes_schema(), random_vocabulary);
  model.randomise();
  const ModelResult together = evaluate_model(model, masked_leaf(some_records(), 1), masked_context(9, false));
  std::vector<at::Tensor> told;
  double sum = 0;
  for (const RandomRecord& record : some_records()) {
    const ModelResult alone = evaluate_model(model, masked_leaf({record}, 1), masked_context(9, false));
    told.push_back(alone.outputs.at(told_name));
    sum += alone.outputs.at(loss_sums_name).item<double>();
  }
  const at::Tensor apart = at::cat(told);
  ASSERT_GT(apart.size(0), 20);
  ASSERT_EQ(apart.sizes(), together.outputs.at(told_name).sizes());
  EXPECT_LE((apart - together.outputs.at(told_name)).abs().max().item<double>(), 1e-12);
  EXPECT_NEAR(together.outputs.at(loss_sums_name).item<double>(), sum, 1e-10);
  EXPECT_NEAR(together.outputs.at(loss_name).item<double>(), sum / 9, 1e-10);
}

TEST(TextMlm, leaves_without_notes_or_without_a_token_to_tell_have_loss_and_gradient_zero) {
  TestModel model(mlm_settings(), notes_schema(), random_vocabulary, at::kFloat);
  model.randomise();
  for (const Batch& batch : {masked_leaf(some_records(), 0), masked_leaf({{2, 1, false, false, 0}}, 1)}) {
    const ModelResult result = run_model(model, to_type(batch, at::kFloat), masked_context(0));
    EXPECT_EQ(result.outputs.at(loss_name).item<double>(), 0);
    EXPECT_EQ(result.outputs.at(loss_sums_name).item<double>(), 0);
    EXPECT_EQ(result.outputs.at(told_name).sizes(), (std::vector<std::int64_t>{0, 2}));
    EXPECT_EQ(result.gradient.abs().max().item<double>(), 0);
  }
}

TEST(TextMlm, frozen_embeddings_freeze_the_decoders_weight_but_not_its_bias) {
  ModelSettings settings = mlm_settings();
  settings.text.freeze = "1";
  const TestModel frozen(settings, notes_schema(), random_vocabulary);
  std::vector<std::string> trained;
  for (const ParameterEntry& entry : frozen.layout.entries)
    if (entry.spec.trainable && entry.spec.name.find("layer.1.") == std::string::npos) trained.push_back(entry.spec.name);
  EXPECT_THAT(trained, testing::UnorderedElementsAre("cls.predictions.bias", "cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
                                                     "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias"));
  settings.text.freeze = "none";
  const TestModel free(settings, notes_schema(), random_vocabulary);
  EXPECT_EQ(free.layout.trainable_count(),
            frozen.layout.trainable_count() + (random_vocabulary + 10 + 2 + 2) * 8 + 4 * (8 * 8 + 8) + 2 * 8 * 12 + 12 + 8 + 4 * 8);
  std::map<std::string, std::int64_t> parts;
  for (const PartCount& part : count_parts(free.layout)) parts[part.part] = part.parameters;
  EXPECT_EQ(parts.at("cls"), 8 * 8 + 8 + 2 * 8 + random_vocabulary);
}

TEST(TextMlm, refuses_what_does_not_fit_by_name) {
  const auto complaint = [](const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary) -> std::string {
    try {
      (void)build_model(settings, schema, vocabulary);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration);
      return error.what();
    }
    return "accepted";
  };
  ModelSettings settings = mlm_settings();
  EXPECT_EQ(complaint(settings, notes_schema(), 30), "accepted");
  EXPECT_THAT(complaint(settings, random_schema(4), 0), HasSubstr("vocabulary of 0 tokens"));
  Schema schema = notes_schema();
  schema.notes = false;
  EXPECT_THAT(complaint(settings, schema, 30), HasSubstr("expected a data set with notes"));
  schema = notes_schema();
  schema.tasks = {{"masked_tokens", TaskKind::regression, {}}};
  EXPECT_THAT(complaint(settings, schema, 30), HasSubstr("has a task 'masked_tokens'"));
  settings.heads.tasks = {"mortality"};
  EXPECT_THAT(complaint(settings, random_schema(4), 30), HasSubstr("[heads]"));
  settings = mlm_settings();
  settings.text.cache = "notes";
  settings.text.freeze = "all";
  EXPECT_THAT(complaint(settings, notes_schema(), 30), HasSubstr("text.cache is of no use to model.family = \"text_mlm\""));
}

TEST(TextMlm, stands_behind_the_tasks_of_the_data_set) {
  const Schema schema = random_schema(4);
  const Schema own = schema_of_model(mlm_settings(), schema);
  ASSERT_EQ(own.tasks.size(), schema.tasks.size() + 1);
  EXPECT_EQ(own.tasks.back().name, "masked_tokens");
  EXPECT_EQ(schema_of_model(ModelSettings{}, schema), schema);
  EXPECT_EQ(build_model(mlm_settings(), schema, 30).tasks, std::vector<std::size_t>{schema.tasks.size()});
  EXPECT_THROW(check_schema(own), Error);  // shards never hold it
  EXPECT_THROW((void)task_kind("masked_token"), Error);
  EXPECT_EQ(name_of(TaskKind::masked_token), "masked_token");
}

}  // namespace
}  // namespace tributary
