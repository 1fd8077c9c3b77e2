#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

#include "base/error.h"
#include "model/registry.h"
#include "support/two_blocks.h"
#include "train/best.h"
#include "train/data_set.h"
#include "train/event_log.h"
#include "train/network.h"
#include "train/run_record.h"
#include "train/stop_request.h"
#include "train/train_step.h"

namespace tributary {
namespace {

TEST(EventLog, keeps_the_lines_up_to_a_step_and_drops_a_torn_one) {
  const std::string text = "{\"event\":\"step\",\"step\":1}\n{\"event\":\"validation\",\"step\":1}\n{\"event\":\"step\",\"step\":2}\n{\"event\":\"st";
  EXPECT_EQ(lines_up_to(text, 1), "{\"event\":\"step\",\"step\":1}\n{\"event\":\"validation\",\"step\":1}\n");
  EXPECT_EQ(lines_up_to(text, 9), text.substr(0, text.rfind('{')));
  EXPECT_EQ(lines_up_to("", 9), "");
}

TEST(EventLog, writes_numbers_that_read_back_to_the_same_bits_and_undefined_losses_as_null) {
  StepRecord record;
  record.step = 7;
  record.loss = 0.1 + 0.2;
  record.task_losses = {1.0 / 3.0, std::nullopt};
  const std::string line = to_json_line(record, {"a", "b"});
  EXPECT_NE(line.find("\"loss\":0.30000000000000004"), std::string::npos) << line;
  EXPECT_NE(line.find("\"task_losses\":{\"a\":0.3333333333333333,\"b\":null}"), std::string::npos) << line;
}

TEST(StopRequest, notices_signals_and_the_time_limit) {
  {
    const StopRequest none(std::nullopt);
    EXPECT_FALSE(none.pending());
    std::raise(SIGUSR1);
    EXPECT_TRUE(none.pending());
  }
  const StopRequest fresh(std::nullopt);
  EXPECT_FALSE(fresh.pending()) << "a former signal is forgotten";
  EXPECT_TRUE(StopRequest(0.0).pending());
  EXPECT_FALSE(StopRequest(3600.0).pending());
}

TEST(RunRecord, refuses_a_mixture_of_processors_in_exact_mode_only) {
  std::vector<RankMachine> machines(3, {"node1", {}});
  machines[0].versions.processor = machines[1].versions.processor = machines[2].versions.processor = "AVX2";
  EXPECT_NO_THROW(require_equal_machines(machines, Reduction::exact));
  machines[2] = {"node2", {}};
  machines[2].versions.processor = "AVX512";
  EXPECT_NO_THROW(require_equal_machines(machines, Reduction::fast));
  try {
    require_equal_machines(machines, Reduction::exact);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_THAT(error.what(), testing::HasSubstr("rank 2 (node2)"));
  }
}

TEST(Best, is_the_first_finite_value_and_then_every_better_one) {
  TrainState state;
  EXPECT_FALSE(improves(state, std::nullopt, true));
  EXPECT_FALSE(improves(state, std::nan(""), true));
  EXPECT_FALSE(improves(state, INFINITY, false));
  EXPECT_TRUE(improves(state, 0.5, true));
  state.has_best = true;
  state.best_value = 0.5;
  EXPECT_TRUE(improves(state, 0.4, true));
  EXPECT_FALSE(improves(state, 0.5, true));
  EXPECT_FALSE(improves(state, 0.4, false));
  EXPECT_TRUE(improves(state, 0.6, false));
  EXPECT_FALSE(improves(state, std::nan(""), false));
  state.best_value = std::nan("");
  EXPECT_TRUE(improves(state, 0.9, true)) << "a best that is no number blocks none";
}

TEST(TrainStep, names_the_block_nearest_the_loss_whose_gradient_is_not_finite) {
  const BlockList model = testing_support::two_block_model();
  const ParameterLayout layout = make_layout(model.parameters);
  const auto block_of = [&](const std::string& name) { return layout.entries[layout.find(name)].offset / arena_block; };
  EXPECT_EQ(first_bad_part(model, layout, {block_of("first.weight")}), "block 'first' (first.weight)");
  std::vector<std::int64_t> bad{block_of("first.bias"), block_of("second.weight") + 1};
  std::sort(bad.begin(), bad.end());
  EXPECT_EQ(first_bad_part(model, layout, bad), "block 'second' (second.weight)");
}

std::vector<BatchField> read_by(const BlockList& model) {
  std::vector<BatchField> fields;
  for (const BlockSpec& block : model.blocks) fields.insert(fields.end(), block.reads.begin(), block.reads.end());
  return fields;
}

TEST(Fields, are_those_that_a_block_reads_and_the_settings_keep) {
  Schema schema;
  schema.steps = 2;
  schema.statics = {{"age", "years"}};
  schema.series = {{"vitals", {{"heart rate", "1/min"}}}};
  schema.notes = true;
  schema.image = {1, 4, 4};
  schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}};
  const BlockList model = build_model(ModelSettings{}, schema, 100);
  DataConfig config;
  EXPECT_TRUE(fields_to_read(schema, config).images);
  const FieldSelection fields = fields_of(schema, config, read_by(model), false);
  EXPECT_TRUE(fields.statics && fields.series && fields.tokens && fields.labels);
  EXPECT_FALSE(fields.images);  // no block of the family looks at images
  config.leave_out = {"series"};
  EXPECT_FALSE(fields_of(schema, config, read_by(model), false).series);
  BlockList with_image = model;
  with_image.blocks[0].reads.push_back(BatchField::image);
  EXPECT_TRUE(fields_of(schema, {}, read_by(with_image), false).images);
}

TEST(Network, names_everything_that_keeps_a_data_set_from_fitting) {
  Catalogue trained;
  trained.schema.steps = 48;
  trained.schema.statics = {{"age", "years"}};
  trained.schema.tasks = {{"mortality", TaskKind::binary, {"no", "yes"}}};
  Catalogue offered = trained;
  EXPECT_EQ(schema_differences(trained, offered), "");
  offered.schema.statics[0].unit = "months";
  offered.schema.tasks[0].classes[1] = "dead";
  EXPECT_EQ(schema_differences(trained, offered),
            "static features: trained with [age (years)], the data set has [age (months)]\n"
            "task 0: trained with mortality (binary) [no, yes], the data set has mortality (binary) [no, dead]");
  offered = trained;
  trained.schema.concept_types = offered.schema.concept_types = {"drug", "disease"};
  trained.schema.tasks = {{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}}};
  offered.schema.tasks = {{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}, {1, 0}}, false}};
  EXPECT_EQ(schema_differences(trained, offered),
            "task 0: trained with causes (relation) [none, causes] directed 0-1, the data set has causes (relation) [none, causes] undirected 0-1 1-0");
}

}  // namespace
}  // namespace tributary
