#include "train/run_settings.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "train/versions.h"

namespace tributary {
namespace {

using testing::HasSubstr;

std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    static_cast<void>(parse_run_settings(text, "f.toml", overrides));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  return "";
}

TEST(RunSettings, are_good_as_they_come) {
  const LoadedSettings loaded = parse_run_settings("", "f.toml", {});
  EXPECT_EQ(loaded.settings.train.global_batch, 32);
  EXPECT_EQ(loaded.digest.size(), 64U);
  EXPECT_EQ(parse_run_settings(loaded.toml, "copy.toml", {}).toml, loaded.toml);
}

TEST(RunSettings, have_a_digest_of_what_decides_the_numbers) {
  const auto digest = [](const std::string& override_) { return parse_run_settings("", "f.toml", {override_}).digest; };
  const std::string base = parse_run_settings("", "f.toml", {}).digest;
  for (const char* same : {"run.dir=elsewhere", "run.ranks=4", "data.shards=x", "checkpoint.every=3", "optim.sharded=false"})
    EXPECT_EQ(digest(same), base) << same;
  for (const char* other : {"train.seed=2", "numerics.reduction=fast", "lstm.width=8", "optim.factor.encoder=0.5"}) EXPECT_NE(digest(other), base) << other;
}

TEST(RunSettings, refuse_fields_that_do_not_fit_together) {
  EXPECT_EQ(complaint("[train]\nglobal_batch = 30\nmicro_batch = 8\n"), "train.global_batch = 30 must be a multiple of train.micro_batch = 8");
  EXPECT_THAT(complaint("", {"data.window_stride=512"}), HasSubstr("data.window_stride = 512 must be at least 1 and at most data.window_tokens - 2 = 510"));
  EXPECT_THAT(complaint("", {"data.window_stride=511"}), HasSubstr("data.window_stride = 511"));
  EXPECT_EQ(complaint("", {"data.window_stride=510"}), "");
  EXPECT_THAT(complaint("", {"cnn.pairs=[]"}), HasSubstr("cnn.pairs"));
  EXPECT_THAT(complaint("", {"text.positions=256"}), HasSubstr("data.window_tokens = 512 must be at most text.positions = 256"));
  EXPECT_THAT(complaint("", {"text.heads=3"}), HasSubstr("text.width = 64 must be a multiple of text.heads = 3"));
  EXPECT_THAT(complaint("", {"lstm.kernel=4"}), HasSubstr("must be odd"));
  EXPECT_THAT(complaint("", {"cnn.pairs=[[3]]"}), HasSubstr("cnn.pairs"));
  EXPECT_THAT(complaint("", {"data.leave_out=[\"note\"]"}), HasSubstr("found \"note\""));
  EXPECT_THAT(complaint("", {"run.max_time=soon"}), HasSubstr("run.max_time: expected a duration"));
  EXPECT_THAT(complaint("", {"run.ranks=two"}), HasSubstr("run.ranks: expected \"any\" or a number of ranks, found \"two\""));
  EXPECT_THAT(complaint("", {"model.family=text_mlm", "train.watch=auroc"}),
              HasSubstr("train.watch = \"auroc\": model.family = \"text_mlm\" has a loss alone"));
  for (const std::string family : {"text_mlm", "text_bert"})
    EXPECT_THAT(complaint("", {"model.family=" + family, "data.leave_out=[\"notes\"]"}), HasSubstr("all that model.family = \"" + family + "\" learns from"));
  EXPECT_THAT(complaint("", {"model.family=text_mlm", "text.cache=c", "text.freeze=all"}), HasSubstr("text.cache is of no use"));
  EXPECT_EQ(complaint("", {"model.family=text_mlm"}), "");
  const std::string both = complaint("", {"text.heads=3", "lstm.kernel=4"});
  EXPECT_THAT(both, HasSubstr("text.heads"));
  EXPECT_THAT(both, HasSubstr("lstm.kernel"));
}

TEST(RunSettings, take_the_encoders_sizes_from_its_folder_and_refuse_keys_that_contradict_it) {
  const EncoderArchitecture found{6, 384, 12, 1536, 512, 2, 30522, 1e-12};
  const auto parsed = [&](const std::vector<std::string>& overrides) {
    return parse_run_settings("[text]\npretrained = \"minilm\"\n", "f.toml", overrides, found);
  };
  const LoadedSettings loaded = parsed({"text.heads=12"});
  EXPECT_EQ(loaded.settings.model.text.layers, 6);
  EXPECT_EQ(loaded.settings.model.text.width, 384);
  EXPECT_EQ(loaded.settings.model.text.intermediate, 1536);
  // A checkpoint's settings say everything themselves, and where the folder stood does not matter.
  EXPECT_EQ(parse_run_settings(loaded.toml, "checkpoint.toml", {"text.pretrained=elsewhere"}).digest, loaded.digest);
  try {
    static_cast<void>(parsed({"text.layers=4", "text.width=384", "text.layer_norm_epsilon=1e-5"}));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_THAT(error.what(), HasSubstr("text.layers = 4 (--set) contradicts minilm, whose config.json says 6"));
    EXPECT_THAT(error.what(), HasSubstr("text.layer_norm_epsilon"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("text.width")));
  }
  EXPECT_THAT(complaint("", {"text.freeze=3"}), HasSubstr("text.freeze: expected \"none\", \"all\" or a number of layers from 0 to text.layers = 2"));
  EXPECT_THAT(complaint("", {"text.freeze=some"}), HasSubstr("found \"some\""));
  EXPECT_EQ(complaint("", {"text.freeze=2"}), "");
}

TEST(RunSettings, refuse_another_number_of_ranks_with_both_numbers) {
  RunConfig run;
  EXPECT_NO_THROW(check_ranks(run, 3));
  run.ranks = "3";
  EXPECT_NO_THROW(check_ranks(run, 3));
  try {
    check_ranks(run, 2);
    FAIL() << "2 ranks were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_THAT(error.what(), HasSubstr("asks for 3 ranks"));
    EXPECT_THAT(error.what(), HasSubstr("2 were started"));
  }
}

TEST(Duration, is_days_hours_minutes_seconds_in_that_order) {
  EXPECT_FALSE(duration_s(""));
  EXPECT_EQ(duration_s("3h50m"), 13800.0);
  EXPECT_EQ(duration_s("90s"), 90.0);
  EXPECT_EQ(duration_s("120"), 120.0);
  EXPECT_EQ(duration_s("1d 2h 3m 4.5s"), 93784.5);
  EXPECT_EQ(duration_s("0s"), 0.0);
  for (const char* wrong : {"h", "3h50", "5m3h", "3x", "-5s", "1h1h", "1e3s", "inf", "soon", "3 h x"})
    EXPECT_THROW(static_cast<void>(duration_s(wrong)), Error) << wrong;
}

TEST(Versions, are_all_known) {
  const Versions versions = collect_versions();
  for (const std::string& text : {versions.program, versions.compiler, versions.libtorch, versions.hdf5, versions.mpi, versions.processor})
    EXPECT_FALSE(text.empty());
  EXPECT_THAT(to_json(versions), HasSubstr(versions.libtorch));
  EXPECT_EQ(versions_from_json(to_json(versions)), versions);
  Versions other = versions;
  other.nccl = "2.0";
  other.cuda = true;
  EXPECT_EQ(versions_from_json(to_json(other)), other);
}

}  // namespace
}  // namespace tributary
