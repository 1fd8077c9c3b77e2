// What must hold in tokens mode whatever the parameters: padding, records of their own, empty leaves, gradients, sizes.
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "model/report.h"
#include "support/model_run.h"
#include "support/random_batch.h"

namespace tributary {
namespace {

using testing_support::evaluate_model;
using testing_support::ModelResult;
using testing_support::random_leaf;
using testing_support::random_text_schema;
using testing_support::random_vocabulary;
using testing_support::RandomRecord;
using testing_support::run_model;
using testing_support::TestModel;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Records of 0 to 3 concepts with 0 to 3 notes: concepts without notes, notes without concepts, neither.
std::vector<RandomRecord> text_records() {
  return {{3, 1, false, false, 2}, {2, 1, false, false, 0}, {7, 1, false, false, 3}, {4, 1, false, false, 1}, {8, 1, false, false, 0}, {5, 1, false, false, 1}};
}

ModelSettings tokens_settings() {
  ModelSettings settings = testing_support::small_settings();
  settings.model.mode = "tokens";
  settings.heads.relation_layers = {5, 4};
  return settings;
}

// Settings that together use every operator of the mode.
std::vector<ModelSettings> several_tokens_settings() {
  std::vector<ModelSettings> all(4, tokens_settings());
  all[1].lstm.transform = "conv1d";
  all[1].attention.kind = "gate+context";
  all[2].lstm.transform = "self_attention";
  all[2].cnn.fusion = "add";
  all[2].heads.tasks = {"relation"};
  all[3].use = {false, false, false, false};
  return all;
}

LeafContext tokens_context(bool training) {
  LeafContext context;
  context.seed = 3;
  context.training = training;
  context.label_counts = {5, 9, 4};
  return context;
}

TEST(LmHhdaTokens, padding_and_unknown_labels_may_hold_anything) {
  const Schema schema = random_text_schema();
  for (const ModelSettings& settings : several_tokens_settings()) {
    TestModel model(settings, schema, random_vocabulary, at::kFloat);
    model.randomise();
    const Batch zeros = to_type(random_leaf(schema, text_records(), 0), at::kFloat);
    Batch spoiled = to_type(random_leaf(schema, text_records(), missing), at::kFloat);
    const at::Tensor padding = at::arange(spoiled.notes.window_ids.size(1)).ge(spoiled.notes.window_lengths.unsqueeze(1));
    ASSERT_TRUE(padding.any().item<bool>());
    spoiled.notes.window_ids = spoiled.notes.window_ids.masked_fill(padding, 1LL << 40);
    spoiled.labels[1].value = at::where(spoiled.labels[1].valid.unsqueeze(1), spoiled.labels[1].value, missing);
    ASSERT_FALSE(at::isfinite(spoiled.labels[1].value).all().item<bool>());
    const ModelResult a = run_model(model, zeros, tokens_context(true)), b = run_model(model, spoiled, tokens_context(true));
    ASSERT_EQ(a.outputs.size(), model.list.tasks.size() + 2);
    for (const auto& [name, value] : a.outputs) {
      EXPECT_TRUE(at::isfinite(value).all().item<bool>()) << name;
      EXPECT_TRUE(at::equal(value, b.outputs.at(name))) << name;
    }
    EXPECT_TRUE(at::equal(a.gradient, b.gradient));
    EXPECT_GT(a.gradient.abs().max().item<double>(), 0.01);
  }
}

TEST(LmHhdaTokens, each_record_alone_equals_the_record_in_its_leaf) {
  const Schema schema = random_text_schema();
  const std::vector<RandomRecord> records = text_records();
  for (const ModelSettings& settings : several_tokens_settings()) {
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    const Batch leaf = random_leaf(schema, records, missing);
    const ModelResult together = evaluate_model(model, leaf, tokens_context(false));
    std::int64_t pairs = 0;
    for (std::size_t b = 0; b < records.size(); ++b) {
      const auto row = static_cast<std::int64_t>(b);
      const ModelResult alone = evaluate_model(model, random_leaf(schema, {records[b]}, missing), tokens_context(false));
      for (const std::size_t number : model.list.tasks) {
        const Task& task = schema.tasks[number];
        const at::Tensor all = together.outputs.at(probability_name(task)), own = alone.outputs.at(probability_name(task));
        const bool relation = task.kind == TaskKind::relation;
        const at::Tensor expected = relation ? all.index_select(0, leaf.pairs[number].record.eq(row).nonzero().squeeze(1)) : all.narrow(0, row, 1);
        ASSERT_EQ(own.sizes(), expected.sizes());
        if (relation) pairs += own.size(0);
        if (own.numel() > 0) {
          EXPECT_LE((own - expected).abs().max().item<double>(), 1e-12) << task.name << " of record " << b;
        }
      }
    }
    EXPECT_EQ(pairs, leaf.pairs[1].head.size(0));
    EXPECT_GT(pairs, 10);
  }
}

TEST(LmHhdaTokens, a_leaf_without_notes_mentions_and_pairs_runs) {
  const Schema schema = random_text_schema();
  for (const ModelSettings& settings : several_tokens_settings()) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      TestModel model(settings, schema, random_vocabulary, type);
      model.randomise();
      const Batch empty = to_type(random_leaf(schema, {{4, 1, false, false, 0}, {8, 1, false, false, 0}}, missing), type);
      ASSERT_EQ(empty.mentions.token.size(0) + empty.mentions.concept_record.size(0) + empty.pairs[1].head.size(0) + empty.notes.documents(), 0);
      const ModelResult result = run_model(model, empty, tokens_context(true));
      EXPECT_EQ(result.outputs.at("probability.relation").sizes().vec(), (std::vector<std::int64_t>{0, 3}));
      EXPECT_TRUE(at::isfinite(result.outputs.at("loss")).item<bool>());
      EXPECT_TRUE(at::isfinite(result.gradient).all().item<bool>());
      if (settings.heads.tasks.empty())
        EXPECT_TRUE(at::equal(result.outputs.at("probability.mortality")[0], at::sigmoid(model.parameter("record.mortality.bias"))));
      else
        EXPECT_EQ(result.gradient.abs().max().item<double>(), 0);
    }
  }
}

TEST(LmHhdaTokens, gradients_equal_finite_differences_of_the_loss) {
  const Schema schema = random_text_schema();
  const Batch batch = random_leaf(schema, text_records(), missing);
  std::size_t compared = 0;
  for (const ModelSettings& settings : several_tokens_settings()) {
    TestModel model(settings, schema, random_vocabulary);
    model.randomise();
    const ModelResult result = run_model(model, batch, tokens_context(true));  // with dropout: the same masks at every call
    for (const ParameterEntry& place : model.layout.entries) {
      const auto draw = static_cast<std::int64_t>(uniform(derive_key(Draw::synth, 5, place.spec.name), 0) * static_cast<double>(place.spec.count()));
      double* value = model.arena.data_ptr<double>() + place.offset + draw;
      const double before = *value, step = 1e-5;
      double losses[2];
      for (int side = 0; side < 2; ++side) {
        *value = before + (side == 0 ? step : -step);
        losses[side] = evaluate_model(model, batch, tokens_context(true)).outputs.at("loss").item<double>();
      }
      *value = before;
      const double expected = (losses[0] - losses[1]) / (2 * step), found = result.gradient[place.offset + draw].item<double>();
      EXPECT_NEAR(found, expected, 1e-7 * (1 + std::abs(expected))) << place.spec.name << " element " << draw;
      ++compared;
    }
  }
  EXPECT_GT(compared, 250U);
}

TEST(LmHhdaTokens, a_record_without_mentions_has_no_entity_context) {
  const Schema schema = random_text_schema();
  TestModel model(tokens_settings(), schema, random_vocabulary);
  model.randomise();
  model.list.outputs.emplace_back("tokens");
  model.list.outputs.emplace_back("entity");
  Batch batch = random_leaf(schema, text_records(), missing);
  const at::Tensor kept = batch.mentions.record.index_select(0, batch.mentions.distinct).ne(0);
  ASSERT_FALSE(kept.all().item<bool>());
  batch.mentions.distinct = batch.mentions.distinct.index({kept});
  const ModelResult result = evaluate_model(model, batch, tokens_context(false));
  const at::Tensor tokens = result.outputs.at("tokens"), entity = result.outputs.at("entity");
  const std::int64_t width = tokens.size(2);
  EXPECT_TRUE(at::equal(entity.narrow(2, 0, width), tokens));
  EXPECT_EQ(entity[0].narrow(1, width, width).abs().max().item<double>(), 0);
  EXPECT_GT(entity[2].narrow(1, width, width).abs().max().item<double>(), 0);
  EXPECT_GT(tokens[0].abs().max().item<double>(), 0);
}

// The published sizes; the encoder is frozen, so its depth does not count.
std::int64_t paper_parameters(const AblationConfig& use, std::size_t classes) {
  Schema schema = random_text_schema();
  schema.tasks = {{"relation", TaskKind::relation, std::vector<std::string>(classes, ""), {{0, 1}}}};
  ModelSettings settings;
  settings.model.mode = "tokens";
  settings.text.layers = 1;
  settings.text.width = 768;
  settings.text.freeze = "all";
  settings.use = use;
  return make_layout(build_model(settings, schema, random_vocabulary).parameters).trainable_count();
}

TEST(LmHhdaTokens, has_the_parameters_of_the_paper_and_of_each_ablation) {
  EXPECT_EQ(paper_parameters({true, true, true, true}, 2), 5187586);
  EXPECT_EQ(paper_parameters({true, true, true, true}, 5), 5187586 + 3 * 129);
  EXPECT_EQ(paper_parameters({false, true, true, true}, 2), 4957058);
  EXPECT_EQ(paper_parameters({true, false, true, true}, 2), 5168738);
  EXPECT_EQ(paper_parameters({true, true, false, true}, 2), 4532226);
  EXPECT_EQ(paper_parameters({true, true, true, false}, 2), 4202370);
}

TEST(LmHhdaTokens, refuses_what_does_not_fit_and_names_the_key) {
  struct Fault {
    std::function<void(ModelSettings&, Schema&)> change;
    const char* told;
  };
  const std::vector<Fault> faults = {{[](ModelSettings& s, Schema&) { s.model.mode = "x"; }, "model.mode: expected 'timeline' or 'tokens'"},
                                     {[](ModelSettings&, Schema& schema) { schema.notes = false; }, "expected a data set with notes"},
                                     {[](ModelSettings& s, Schema&) { s.lstm.layer_groups = {{"vitals"}}; }, "lstm.layer_groups"},
                                     {[](ModelSettings& s, Schema&) {
                                        s.heads.relation_layers = {4, 0};
                                      },
                                      "heads.relation_layers"},
                                     {[](ModelSettings& s, Schema&) {
                                        s.model.mode = "timeline";
                                        s.heads.tasks = {"relation"};
                                      },
                                      "'relation' is a relation task; it needs model.mode"},
                                     {[](ModelSettings&, Schema& schema) {
                                        schema.tasks.push_back(schema.tasks[1]);
                                        schema.tasks.back().name = "other";
                                      },
                                      "at most one relation task, found 'relation' and 'other'"},
                                     {[](ModelSettings& s, Schema& schema) {
                                        s.model.mode = "timeline";
                                        schema.tasks = {schema.tasks[1]};
                                      },
                                      "heads.tasks"},
                                     {[](ModelSettings& s, Schema&) {
                                        s.heads.positive_weight = {{"relation", 2}};
                                      },
                                      "heads.positive_weight"}};
  for (const auto& [change, told] : faults) {
    ModelSettings settings = tokens_settings();
    Schema schema = random_text_schema();
    change(settings, schema);
    try {
      (void)build_model(settings, schema, random_vocabulary);
      ADD_FAILURE() << "accepted what should give: " << told;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration);
      EXPECT_NE(std::string(error.what()).find(told), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tributary
