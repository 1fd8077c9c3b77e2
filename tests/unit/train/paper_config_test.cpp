// launch/configs/paper.toml is the model of the paper.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "model/registry.h"
#include "model/report.h"
#include "train/run_settings.h"

namespace tributary {
namespace {

ParameterLayout paper_layout(const std::vector<std::string>& overrides) {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  const std::string path = (source == nullptr ? std::string(".") : std::string(source)) + "/launch/configs/paper.toml";
  const LoadedSettings loaded = parse_run_settings(read_file(path), path, overrides);
  Schema schema;
  schema.steps = 1;
  schema.notes = true;
  schema.concept_types = {"Chemical", "Disease"};
  schema.tasks = {{"induces", TaskKind::relation, {"none", "induces"}, {{0, 1}}}};
  return make_layout(build_model(loaded.settings.model, schema, 28996).parameters);
}

TEST(PaperConfiguration, has_the_parameters_that_the_specification_lists) {
  const ParameterLayout layout = paper_layout({});
  EXPECT_EQ(layout.trainable_count(), 5187586);
  std::map<std::string, std::int64_t> parts;
  for (const PartCount& part : count_parts(layout)) parts[part.part] = part.trainable;
  EXPECT_EQ(parts.at("entity"), 589824);
  EXPECT_EQ(parts.at("lstm.0"), 1837056 + 65792);
  EXPECT_EQ(parts.at("lstm.1"), 526336 + 65792);
  EXPECT_EQ(parts.at("lstm.2"), 526336 + 65792);
  EXPECT_EQ(parts.at("temporal"), 16512);
  EXPECT_EQ(parts.at("cnn.all"), 295008);
  EXPECT_EQ(parts.at("drelu.first") + parts.at("drelu.second"), 18848);
  EXPECT_EQ(parts.at("attention"), 655360);
  EXPECT_EQ(parts.at("relation"), 524930);
  EXPECT_EQ(parts.at("encoder.encoder"), 0);
  EXPECT_NE(parameter_table(layout).find("5187586"), std::string::npos);
}

TEST(PaperConfiguration, loses_with_each_ablation_what_the_specification_says) {
  EXPECT_EQ(paper_layout({"use.hr_lstm=false"}).trainable_count(), 4957058);
  EXPECT_EQ(paper_layout({"use.dynamic_relu=false"}).trainable_count(), 5168738);
  EXPECT_EQ(paper_layout({"use.global_attention=false"}).trainable_count(), 4532226);
  EXPECT_EQ(paper_layout({"use.ms_cnn=false"}).trainable_count(), 4202370);
}

}  // namespace
}  // namespace tributary
