// What a rank has of a model that is cut into stages: values and columns of its own blocks alone.
#include <gmock/gmock.h>

#include <numeric>

#include "model/registry.h"
#include "support/many_blocks.h"
#include "support/model_run.h"
#include "support/random_batch.h"
#include "train/data_set.h"
#include "train/network.h"

namespace tributary {
namespace {

using testing::ElementsAre;

// One stage a block: "text.embeddings: tokens".
std::vector<std::string> columns_of_blocks(const ModelSettings& settings, const Schema& schema) {
  const BlockList model = build_model(settings, schema, testing_support::random_vocabulary);
  Cut cut(model.blocks.size());
  std::iota(cut.begin(), cut.end(), 0);
  const ModelLayout layout = lay_out(model, cut);
  std::vector<std::string> lines;
  for (std::size_t b = 0; b < model.blocks.size(); ++b) {
    const FieldSelection read = fields_of(schema, {}, fields_of_stages(model, layout, {static_cast<int>(b)}), model.marked_pairs.has_value());
    std::string line = model.blocks[b].name + ":";
    for (const auto& [name, wanted] :
         {std::pair("statics", read.statics), std::pair("series", read.series), std::pair("tokens", read.tokens), std::pair("text", read.text),
          std::pair("images", read.images), std::pair("labels", read.labels), std::pair("entities", read.entities)})
      if (wanted) line += std::string(" ") + name;
    lines.push_back(line);
  }
  return lines;
}

ModelSettings settings_of(const std::string& family, const std::string& mode = "timeline") {
  ModelSettings settings = testing_support::small_settings();
  settings.model.family = family;
  settings.model.mode = mode;
  return settings;
}

TEST(Columns, of_a_stage_of_lm_hhda_are_those_of_its_blocks_and_labels_go_to_the_last_one) {
  EXPECT_THAT(
      columns_of_blocks(settings_of("lm_hhda"), testing_support::random_schema(12)),
      ElementsAre("text.embeddings: tokens", "text.layer.0: tokens", "text.layer.1: tokens", "notes: tokens", "cnn.g0: series tokens", "cnn.g1: series tokens",
                  "lstm.0: statics series tokens", "lstm.1:", "lstm.2:", "temporal:", "fusion:", "attention:", "heads: labels"));
}

TEST(Columns, of_the_last_stage_of_lm_hhda_on_tokens_are_also_those_by_which_labels_are_counted) {
  EXPECT_THAT(
      columns_of_blocks(settings_of("lm_hhda", "tokens"), testing_support::random_text_schema()),
      ElementsAre("text.embeddings: tokens", "text.layer.0: tokens", "text.layer.1: tokens", "tokens: tokens", "cnn.all: tokens", "entity: tokens entities",
                  "lstm.0: tokens", "lstm.1: tokens", "lstm.2: tokens", "temporal: tokens", "fusion: tokens", "attention: tokens", "heads: tokens labels",
                  "relation.concepts: tokens entities", "relation: tokens labels entities", "loss: tokens labels entities"));
}

TEST(Columns, of_a_stage_of_text_mlm_are_tokens_and_the_labels_are_of_the_last_one) {
  Schema schema = testing_support::random_schema(12);
  schema.tasks.resize(1);
  EXPECT_THAT(columns_of_blocks(settings_of("text_mlm"), schema),
              ElementsAre("text.embeddings: tokens", "text.layer.0: tokens", "text.layer.1: tokens", "mlm.transform: tokens", "mlm.decoder: tokens labels"));
}

TEST(Columns, of_every_stage_of_text_bert_are_all_that_marked_pairs_are_made_of) {
  Schema schema = testing_support::random_text_schema();
  EXPECT_THAT(columns_of_blocks(settings_of("text_bert"), schema),
              ElementsAre("text.embeddings: tokens text labels entities", "text.layer.0: tokens text labels entities",
                          "text.layer.1: tokens text labels entities", "relation: tokens text labels entities"));
}

TEST(FirstParameters, of_stages_are_those_of_the_whole_model_bit_for_bit) {
  const BlockList model = testing_support::nine_block_model();
  const ModelLayout one = lay_out(model, {0});
  const at::Tensor whole = first_parameters(one, {0}, 7).front();
  std::size_t borrowed = 0;
  for (const Cut& cut : {Cut{0, 4}, Cut{0, 2, 5}, Cut{0, 1, 2, 3, 4, 5, 6, 7, 8}}) {
    const ModelLayout layout = lay_out(model, cut);
    std::vector<int> own(cut.size());
    std::iota(own.begin(), own.end(), 0);
    const std::vector<at::Tensor> found = first_parameters(layout, own, 7), wanted = cut_arena(layout, whole, own);
    ASSERT_EQ(found.size(), cut.size());
    for (std::size_t s = 0; s < cut.size(); ++s) {
      EXPECT_TRUE(at::equal(found[s], wanted[s])) << "stage " << s << " of " << cut.size();
      for (const ParameterEntry& entry : layout.stages[s].parameters.entries) borrowed += entry.borrowed ? 1 : 0;
    }
    EXPECT_TRUE(at::equal(first_parameters(layout, {1}, 7).front(), wanted[1]));
  }
  EXPECT_GT(borrowed, 0U);
  EXPECT_FALSE(at::equal(first_parameters(one, {0}, 8).front(), whole));
}

}  // namespace
}  // namespace tributary
