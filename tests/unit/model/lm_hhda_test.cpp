// What must hold for the family whatever its parameters: absence, padding, records of their own, gradients, sizes, learning.
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "model/families/global_attention.h"
#include "model/families/ms_cnn.h"
#include "model/families/record_heads.h"
#include "model/report.h"
#include "support/model_run.h"
#include "support/random_batch.h"

namespace tributary {
namespace {

using testing_support::evaluate_model;
using testing_support::mixed_records;
using testing_support::ModelResult;
using testing_support::random_leaf;
using testing_support::random_schema;
using testing_support::random_vocabulary;
using testing_support::RandomRecord;
using testing_support::run_model;
using testing_support::small_settings;
using testing_support::TestModel;

constexpr std::int64_t steps = 9;
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

LeafContext context_of(bool training) {
  LeafContext context;
  context.seed = 3;
  context.training = training;
  context.label_counts = {5, 6, 20, 4};
  return context;
}

// Settings that together use every operator.
std::vector<ModelSettings> several_settings() {
  std::vector<ModelSettings> all(4, small_settings());
  all[1].lstm.transform = "conv1d";
  all[1].attention.kind = "gate+context";
  all[1].text.paragraph = all[1].text.document = "attention";
  all[2].lstm.transform = "self_attention";
  all[2].cnn.fusion = "add";
  all[2].lstm.layer_groups = {{"labs"}, {"vitals"}};
  all[3].use = {false, false, false, false};
  return all;
}

TEST(LmHhda, padding_and_absent_inputs_may_hold_nan) {
  const Schema schema = random_schema(steps);
  for (const ModelSettings& settings : several_settings()) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      TestModel model(settings, schema, random_vocabulary, type);
      model.randomise();
      const ModelResult zeros = run_model(model, to_type(random_leaf(schema, mixed_records(steps), 0), type), context_of(true));
      const ModelResult nans = run_model(model, to_type(random_leaf(schema, mixed_records(steps), nan_value), type), context_of(true));
      ASSERT_EQ(zeros.outputs.size(), schema.tasks.size() + 2);
      for (const auto& [name, value] : zeros.outputs) {
        EXPECT_TRUE(at::isfinite(value).all().item<bool>()) << name;
        EXPECT_TRUE(at::equal(value, nans.outputs.at(name))) << name;
      }
      EXPECT_TRUE(at::equal(zeros.gradient, nans.gradient));
      EXPECT_GT(zeros.gradient.abs().max().item<double>(), 0.01);
    }
  }
}

TEST(LmHhda, each_record_alone_equals_the_record_in_its_leaf) {
  const Schema schema = random_schema(steps);
  const std::vector<RandomRecord> records = mixed_records(steps);
  for (const ModelSettings& settings : several_settings()) {
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    const ModelResult together = evaluate_model(model, random_leaf(schema, records, nan_value), context_of(false));
    for (std::size_t b = 0; b < records.size(); ++b) {
      const ModelResult alone = evaluate_model(model, random_leaf(schema, {records[b]}, nan_value), context_of(false));
      for (const Task& task : schema.tasks) {
        const at::Tensor row = together.outputs.at("probability." + task.name)[static_cast<std::int64_t>(b)];
        EXPECT_LE((alone.outputs.at("probability." + task.name)[0] - row).abs().max().item<double>(), 1e-12) << task.name << " of record " << b;
      }
    }
  }
}

TEST(LmHhda, a_record_with_every_modality_absent_yields_the_bias_of_its_heads_and_finite_gradients) {
  const Schema schema = random_schema(steps);
  for (const ModelSettings& settings : several_settings()) {
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    const ModelResult result = run_model(model, random_leaf(schema, {{4, 4, false, false, 0}, {9, 0, false, false, 0}}, nan_value), context_of(true));
    for (std::int64_t b = 0; b < 2; ++b) {
      EXPECT_TRUE(at::equal(result.outputs.at("probability.mortality")[b], at::sigmoid(model.parameter("record.mortality.bias"))));
      EXPECT_TRUE(at::equal(result.outputs.at("probability.diagnosis")[b], at::softmax(model.parameter("record.diagnosis.bias"), 0)));
      EXPECT_TRUE(at::equal(result.outputs.at("probability.stay")[b], model.parameter("record.stay.bias")));
    }
    EXPECT_TRUE(at::isfinite(result.gradient).all().item<bool>());
    EXPECT_GT(result.gradient.abs().max().item<double>(), 0);  // of the biases
  }
}

TEST(LmHhda, an_absent_series_equals_one_in_which_nothing_was_ever_measured) {
  const Schema schema = random_schema(steps);
  TestModel model(small_settings(), schema, random_vocabulary);
  model.randomise();
  const std::vector<RandomRecord> records = {{1, steps, true, false, 1}, {2, steps - 3, false, false, 2}};
  const Batch absent = random_leaf(schema, records, nan_value);
  Batch never = absent;
  never.presence = absent.presence.clone();
  never.presence.select(1, 1).fill_(true);
  for (SeriesTensors& series : never.series) series = {at::zeros_like(series.value), at::zeros_like(series.value), at::ones_like(series.value)};
  const ModelResult a = run_model(model, absent, context_of(false)), b = run_model(model, never, context_of(false));
  EXPECT_TRUE(at::equal(a.outputs.at("loss"), b.outputs.at("loss")));
  EXPECT_TRUE(at::equal(a.gradient, b.gradient));
}

TEST(LmHhda, gradients_equal_finite_differences_of_the_loss) {
  const Schema schema = random_schema(steps);
  const Batch batch = random_leaf(schema, mixed_records(steps), nan_value);
  std::size_t compared = 0;
  for (const ModelSettings& settings : several_settings()) {
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    const ModelResult result = run_model(model, batch, context_of(true));  // with dropout: the same masks at every call
    for (std::size_t entry = 0; entry < model.layout.entries.size(); ++entry) {
      const ParameterEntry& place = model.layout.entries[entry];
      const auto draw = static_cast<std::int64_t>(uniform(derive_key(Draw::synth, 5, place.spec.name), 0) * static_cast<double>(place.spec.count()));
      double* value = model.arena.data_ptr<double>() + place.offset + draw;
      const double before = *value, step = 1e-5;
      double losses[2];
      for (int side = 0; side < 2; ++side) {
        *value = before + (side == 0 ? step : -step);
        losses[side] = evaluate_model(model, batch, context_of(true)).outputs.at("loss").item<double>();
      }
      *value = before;
      const double expected = (losses[0] - losses[1]) / (2 * step), found = result.gradient[place.offset + draw].item<double>();
      EXPECT_NEAR(found, expected, 1e-7 * (1 + std::abs(expected))) << place.spec.name << " element " << draw;
      ++compared;
    }
  }
  EXPECT_GT(compared, 300U);
}

TEST(LmHhda, a_leaf_without_notes_runs_and_leaves_the_encoder_without_a_gradient) {
  const Schema schema = random_schema(steps);
  TestModel model(small_settings(), schema, random_vocabulary, at::kFloat);
  model.randomise();
  const ModelResult result =
      run_model(model, to_type(random_leaf(schema, {{1, steps, true, true, 0}, {2, 3, false, true, 0}}, nan_value), at::kFloat), context_of(true));
  for (const ParameterEntry& entry : model.layout.entries) {
    if (entry.spec.name.rfind("encoder.", 0) != 0) continue;
    EXPECT_EQ(result.gradient.narrow(0, entry.offset, entry.padded).abs().max().item<double>(), 0) << entry.spec.name;
  }
  EXPECT_GT(result.gradient.abs().max().item<double>(), 0.01);
}

TEST(LmHhda, a_frozen_encoder_has_no_gradient_and_no_dropout) {
  const Schema schema = random_schema(steps);
  ModelSettings settings = small_settings();
  settings.text.freeze = "all";
  settings.text.dropout = 0.9;
  settings.model.dropout = 0;
  TestModel model(settings, schema, random_vocabulary);
  model.randomise();
  const Batch batch = random_leaf(schema, mixed_records(steps), nan_value);
  const ModelResult training = run_model(model, batch, context_of(true)), evaluation = evaluate_model(model, batch, context_of(false));
  EXPECT_TRUE(at::equal(training.outputs.at("loss"), evaluation.outputs.at("loss")));
  std::size_t frozen = 0;
  for (const ParameterEntry& entry : model.layout.entries) {
    if (entry.spec.trainable) continue;
    EXPECT_EQ(entry.spec.name.rfind("encoder.", 0), 0U);
    EXPECT_EQ(training.gradient.narrow(0, entry.offset, entry.padded).abs().max().item<double>(), 0) << entry.spec.name;
    ++frozen;
  }
  EXPECT_EQ(frozen, 37U);
}

TEST(LmHhda, dropout_is_decided_by_seed_step_and_leaf_alone) {
  const Schema schema = random_schema(steps);
  TestModel model(small_settings(), schema, random_vocabulary);
  model.randomise();
  const Batch batch = random_leaf(schema, mixed_records(steps), nan_value);
  const auto loss = [&](LeafContext context) { return run_model(model, batch, context).outputs.at("loss").item<double>(); };
  LeafContext other_leaf = context_of(true), other_step = context_of(true), other_seed = context_of(true);
  other_leaf.leaf = other_step.step = 1;
  other_seed.seed = 4;
  const double base = loss(context_of(true));
  EXPECT_EQ(base, loss(context_of(true)));
  EXPECT_NE(base, loss(other_leaf));
  EXPECT_NE(base, loss(other_step));
  EXPECT_NE(base, loss(other_seed));
  EXPECT_NE(base, loss(context_of(false)));
}

// The paper's widths in timeline mode: the parts of the specification's table that do not depend on the sequence's width.
TEST(LmHhda, parts_have_as_many_parameters_as_the_formulas_say) {
  Schema schema = random_schema(48);
  schema.tasks.resize(1);
  const TestModel model(ModelSettings{}, schema, random_vocabulary, at::kFloat);
  std::map<std::string, std::int64_t> parts;
  for (const PartCount& part : count_parts(model.layout)) parts[part.part] = part.parameters;
  const std::int64_t h = 256, d = 64, input = 15 + d + 1 + 6, fused = h + 2 * 3 * 4 * 32;
  EXPECT_EQ(parts.at("lstm.0"), 4 * h * (input + h) + 8 * h + h * h + h);
  EXPECT_EQ(parts.at("lstm.1"), 526336 + 65792);
  EXPECT_EQ(parts.at("lstm.2"), 526336 + 65792);
  EXPECT_EQ(parts.at("temporal"), 16512);
  EXPECT_EQ(parts.at("cnn.g0"), 6 * 32 * (3 + 4 + 5) + 3 * 32);
  EXPECT_EQ(parts.at("cnn.g1"), 9 * 32 * (3 + 4 + 5) + 3 * 32);
  EXPECT_EQ(parts.at("drelu.first"), 3 * 128);
  EXPECT_EQ(parts.at("drelu.second"), 65 * (h + 2 * 32));
  EXPECT_EQ(parts.at("attention"), 2 * fused * 512);
  EXPECT_EQ(parts.at("pool"), 64 * fused + 128);
  EXPECT_EQ(parts.at("record.mortality"), fused + 1);
  EXPECT_EQ(parts.at("encoder.embeddings"), (random_vocabulary + 512 + 2) * d + 2 * d);
  EXPECT_EQ(parts.at("encoder.encoder"), 2 * (4 * (d * d + d) + 2 * d * 256 + 256 + d + 4 * d));
  EXPECT_NE(parameter_table(model.layout).find("temporal"), std::string::npos);
}

TEST(LmHhda, without_notes_has_no_text_part_and_without_series_no_branches) {
  Schema schema = random_schema(steps);
  schema.notes = false;
  const BlockList series_only = build_model(small_settings(), schema, 0);
  for (const BlockSpec& block : series_only.blocks) EXPECT_EQ(std::count(block.reads.begin(), block.reads.end(), BatchField::notes), 0) << block.name;
  for (const ParameterSpec& parameter : series_only.parameters) EXPECT_NE(parameter.name.rfind("encoder.", 0), 0U);
  schema.notes = true;
  schema.series.clear();
  TestModel notes_only(small_settings(), schema, random_vocabulary);
  notes_only.randomise();
  const ModelResult result = run_model(notes_only, random_leaf(schema, mixed_records(steps), nan_value), context_of(true));
  EXPECT_TRUE(at::isfinite(result.gradient).all().item<bool>());
  EXPECT_EQ(notes_only.list.blocks.size(), 1U + 2 + 1 + 3 + 1 + 1 + 1);
}

TEST(LmHhda, refuses_settings_that_do_not_fit_and_names_the_key) {
  const Schema schema = random_schema(steps);
  const std::vector<std::pair<std::function<void(ModelSettings&)>, const char*>> faults = {
      {[](ModelSettings& s) { s.model.family = "x"; }, "model.family"},
      {[](ModelSettings& s) { s.text.heads = 3; }, "text.width"},
      {[](ModelSettings& s) { s.lstm.kernel = 4; }, "lstm.kernel"},
      {[](ModelSettings& s) { s.lstm.layer_groups = {{"vitals"}}; }, "lstm.layer_groups"},
      {[](ModelSettings& s) {
         s.lstm.layer_groups = {{"vitals", "labs"}, {"labs"}};
       },
       "lstm.layer_groups"},
      {[](ModelSettings& s) {
         s.lstm.layer_groups = {{"vitals", "labs", "x"}};
       },
       "lstm.layer_groups"},
      {[](ModelSettings& s) {
         s.lstm.layer_groups = {{"vitals"}, {"labs"}, {}, {}};
       },
       "lstm.layer_groups"},
      {[](ModelSettings& s) { s.cnn.pairs = {}; }, "cnn.pairs"},
      {[](ModelSettings& s) {
         s.cnn.pairs = {{3, 1, 2}};
       },
       "cnn.pairs"},
      {[](ModelSettings& s) {
         s.cnn.pairs = {{0, 1}};
       },
       "cnn.pairs"},
      {[](ModelSettings& s) { s.heads.tasks = {"x"}; }, "heads.tasks"},
      {[](ModelSettings& s) {
         s.heads.weight = {{"x", 1}};
       },
       "heads.weight"},
      {[](ModelSettings& s) {
         s.heads.loss = {{"stay", "focal"}};
       },
       "focal"},
      {[](ModelSettings& s) {
         s.heads.positive_weight = {{"diagnosis", 2}};
       },
       "heads.positive_weight"},
      {[](ModelSettings& s) {
         s.heads.positive_weight = {{"mortality", 2}};
         s.heads.loss = {{"mortality", "focal"}};
       },
       "heads.positive_weight.mortality is a weight of the cross entropy, but heads.loss.mortality = \"focal\""},
      {[](ModelSettings& s) {
         s.heads.class_weight = {{"diagnosis", "1, 2, x"}};
       },
       "heads.class_weight.diagnosis: expected numbers above 0"},
      {[](ModelSettings& s) {
         s.heads.class_weight = {{"diagnosis", "1,"}};
       },
       "heads.class_weight.diagnosis: expected numbers above 0"},
      {[](ModelSettings& s) {
         s.heads.class_weight = {{"diagnosis", "1"}};
       },
       "weights, one a class, found 1"},
      {[](ModelSettings& s) {
         s.heads.class_weight = {{"mortality", "1, 2"}};
       },
       "expected multi-class and relation tasks, found 'mortality'"},
      {[](ModelSettings& s) {
         s.heads.class_weight = {{"diagnosis", "1, 2, 3"}};
         s.heads.loss = {{"diagnosis", "generalised_cross_entropy"}};
       },
       "heads.loss.diagnosis"}};
  for (const auto& [change, key] : faults) {
    ModelSettings settings = small_settings();
    change(settings);
    try {
      (void)build_model(settings, schema, random_vocabulary);
      ADD_FAILURE() << "accepted a wrong " << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration);
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(check_window(small_settings(), 11), Error);
  EXPECT_NO_THROW(check_window(small_settings(), 10));
}

TEST(RecordHeads, take_the_weights_of_classes_from_the_settings) {
  const std::vector<Task> tasks = {{"stay", TaskKind::multiclass, {"short", "middle", "long"}}, {"death", TaskKind::binary, {"no", "yes"}}};
  HeadsConfig settings;
  settings.class_weight = {{"stay", "1, 2.5 ,0.5"}};
  settings.positive_weight = {{"death", 3}};
  const std::vector<TaskHead> heads = task_heads(settings, tasks, SequenceMode::timeline);
  ASSERT_EQ(heads.size(), 2U);
  EXPECT_EQ(heads[0].loss.class_weights, (std::vector<double>{1, 2.5, 0.5}));
  EXPECT_EQ(heads[1].loss.class_weights, std::vector<double>{});
  EXPECT_EQ(heads[1].loss.positive_weight, 3);
}

TEST(WindowMax, equals_the_windows_taken_one_by_one) {
  const std::int64_t positions = 11, filters = 3;
  const at::Tensor counts = at::arange(0, positions + 1, at::kLong);
  at::Tensor x = at::empty({counts.size(0), positions, filters}, at::kDouble);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data_ptr<double>()[i] = testing_support::detail::number(1, 2, static_cast<std::uint64_t>(i));
  for (const std::int64_t windows : {1, 2, 4, 5, 13}) {
    const at::Tensor found = window_max(x, counts, windows);
    for (std::int64_t b = 0; b < counts.size(0); ++b) {
      for (std::int64_t w = 0; w < windows; ++w) {
        const std::int64_t first = w * b / windows, end = ((w + 1) * b + windows - 1) / windows;  // counts[b] = b
        const at::Tensor expected = b == 0 ? at::zeros({filters}, at::kDouble) : x[b].slice(0, first, end).amax(0);
        EXPECT_TRUE(at::equal(found[b][w], expected)) << windows << " windows, record " << b << ", window " << w;
      }
    }
  }
}

TEST(LmHhda, hands_back_the_weights_of_global_attention_when_asked) {
  const Schema schema = random_schema(steps);
  for (const char* kind : {"gate", "context", "gate+context"}) {
    ModelSettings settings = small_settings();
    settings.attention.kind = kind;
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    model.list.outputs.emplace_back(attention_weights_name);
    if (std::string(kind) == "gate") model.list.outputs.emplace_back("attention.gate");
    const Batch leaf = random_leaf(schema, mixed_records(steps), nan_value);
    const ModelResult result = evaluate_model(model, leaf, context_of(false));
    const at::Tensor& weights = result.outputs.at(attention_weights_name);
    ASSERT_EQ(weights.sizes().vec(), (std::vector<std::int64_t>{leaf.rows(), settings.attention.heads, steps, steps}));
    const at::Tensor hours = at::arange(steps).unsqueeze(0), shown = leaf.presence.any(1);
    const at::Tensor valid = hours.lt(leaf.steps.unsqueeze(1)).logical_and(shown.unsqueeze(1)).to(at::kDouble);
    EXPECT_LT((weights.sum(3) - valid.unsqueeze(1)).abs().max().item<double>(), 1e-12) << "a valid query's weights sum to 1, another's to 0";
    EXPECT_EQ((weights * (1 - valid).unsqueeze(1).unsqueeze(2)).abs().max().item<double>(), 0) << "no weight on hours that are not valid";
    EXPECT_GT((weights - 1.0 / steps).abs().max().item<double>(), 0.05) << "far from uniform";
    if (std::string(kind) == "gate") {
      EXPECT_LT((weights.mean(1).sum(1) - result.outputs.at("attention.gate")).abs().max().item<double>(), 1e-12) << "eq 27 from the weights";
    }
  }
}

TEST(LmHhda, learns_sixteen_records_by_heart) {
  Schema schema = random_schema(steps);
  schema.tasks.resize(2);
  std::vector<RandomRecord> records;
  for (std::uint64_t id = 1; id <= 16; ++id)
    records.push_back({id, 2 + static_cast<std::int64_t>(id % 8), id % 5 != 0, id % 4 != 0, static_cast<std::int64_t>(id % 3)});
  const Batch batch = to_type(random_leaf(schema, records, nan_value), at::kFloat);
  ModelSettings settings = small_settings();
  settings.lstm.width = 16;
  TestModel model(settings, schema, random_vocabulary, at::kFloat);
  LeafContext context = context_of(true);
  context.label_counts = {static_cast<double>(batch.labels[0].valid.sum().item<std::int64_t>()),
                          static_cast<double>(batch.labels[1].valid.sum().item<std::int64_t>())};
  at::Tensor first = at::zeros_like(model.arena), second = at::zeros_like(model.arena);
  const double before = evaluate_model(model, batch, context).outputs.at("loss").item<double>();
  for (context.step = 0; context.step < 150; ++context.step) {  // Adam
    const at::Tensor gradient = run_model(model, batch, context).gradient;
    first.mul_(0.9).add_(gradient, 0.1);
    second.mul_(0.99).addcmul_(gradient, gradient, 0.01);
    const double t = static_cast<double>(context.step + 1), rate = 0.01 * std::sqrt(1 - std::pow(0.99, t)) / (1 - std::pow(0.9, t));
    model.arena.addcdiv_(first, second.sqrt().add_(1e-8), -rate);
  }
  context.training = false;
  const double after = evaluate_model(model, batch, context).outputs.at("loss").item<double>();
  EXPECT_GT(before, 0.2);
  EXPECT_LT(after, 0.1 * before);
}

}  // namespace
}  // namespace tributary
