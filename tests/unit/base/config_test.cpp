#include "base/config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/nearest.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Sample {
  bool flag = true;
  std::int64_t count = 4;
  double rate = 0.5;
  std::string mode = "fast";
  std::string name;
  std::vector<std::string> words;
  std::vector<std::int64_t> sizes = {1, 2};
  std::vector<std::vector<std::string>> groups;
  std::vector<std::vector<std::int64_t>> pairs = {{3, 1}};
  std::map<std::string, double> weight;
  std::map<std::string, std::string> loss;
  std::vector<std::int64_t> parts = {4};
  std::vector<std::string> again = {"b"};

  [[nodiscard]] std::vector<Section> sections() {
    return {{"a",
             {{"flag", &flag, "a flag"},
              {"count", &count, "a count", {}, 1, 64},
              {"rate", &rate, "a rate", {}, 0, 1},
              {"mode", &mode, "a choice", {"fast", "exact"}},
              {"name", &name, "a name"}}},
            {"lists",
             {{"words", &words, "words", {"x", "y"}},
              {"sizes", &sizes, "sizes", {}, 0, 9},
              {"groups", &groups, "groups"},
              {"pairs", &pairs, "pairs"},
              {"weight", &weight, "weights", {}, 0, 10},
              {"loss", &loss, "losses"},
              {"parts", &parts, "parts", {}, 1, 9, "auto"},
              {"again", &again, "again", {}, 0, 0, "none"}}}};
  }
};

// The message of the error that `text` and `overrides` cause; empty when none.
std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Sample sample;
  Configuration configuration(sample.sections());
  try {
    configuration.apply_text(text, "f.toml");
    configuration.apply_overrides(overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  return "";
}

TEST(Configuration, sets_members_of_every_type) {
  Sample sample;
  Configuration configuration(sample.sections());
  configuration.apply_text(
      "[a]\nflag = false\ncount = 64\nrate = 1\nmode = \"exact\"\nname = \"ä \\\"q\\\"\"\n"
      "[lists]\nwords = [\"y\", \"x\"]\nsizes = []\ngroups = [[\"p\"], []]\npairs = [[5, 4], [1, 2]]\nweight = { \"b c\" = 2, d = 0.5 }\nloss.t = \"focal\"\n",
      "f.toml");
  EXPECT_FALSE(sample.flag);
  EXPECT_EQ(sample.count, 64);
  EXPECT_EQ(sample.rate, 1.0);
  EXPECT_EQ(sample.mode, "exact");
  EXPECT_EQ(sample.name, "ä \"q\"");
  EXPECT_THAT(sample.words, testing::ElementsAre("y", "x"));
  EXPECT_TRUE(sample.sizes.empty());
  EXPECT_THAT(sample.groups, testing::ElementsAre(testing::ElementsAre("p"), testing::IsEmpty()));
  EXPECT_THAT(sample.pairs, testing::ElementsAre(testing::ElementsAre(5, 4), testing::ElementsAre(1, 2)));
  EXPECT_THAT(sample.weight, testing::ElementsAre(testing::Pair("b c", 2.0), testing::Pair("d", 0.5)));
  EXPECT_THAT(sample.loss, testing::ElementsAre(testing::Pair("t", "focal")));
}

TEST(Configuration, keeps_defaults_for_what_is_not_named_and_knows_every_origin) {
  Sample sample;
  Configuration configuration(sample.sections());
  configuration.apply_text("# comment\n[a]\ncount = 7\n", "dir/f.toml");
  configuration.apply_overrides({"a.rate=0.25"});
  EXPECT_EQ(sample.count, 7);
  EXPECT_EQ(sample.rate, 0.25);
  EXPECT_TRUE(sample.flag);
  EXPECT_EQ(configuration.origin("a.count"), "dir/f.toml:3");
  EXPECT_EQ(configuration.origin("a.rate"), "--set");
  EXPECT_EQ(configuration.origin("a.flag"), "default");
  EXPECT_THAT(configuration.to_toml(true), HasSubstr("count = 7  # dir/f.toml:3\nrate = 0.25  # --set\nmode = \"fast\"  # default\n"));
}

TEST(Configuration, names_file_line_and_the_nearest_key_for_an_unknown_one) {
  EXPECT_EQ(complaint("[a]\n\ncuont = 7\n"), "f.toml:3: unknown key a.cuont; the nearest known key is a.count");
  EXPECT_EQ(complaint("[a]\nwords = []\n"), "f.toml:2: unknown key a.words; the nearest known key is lists.words");
  EXPECT_EQ(complaint("[list]\nx = 1\n"), "f.toml:1: unknown section [list]; the nearest known section is [lists]");
  EXPECT_EQ(complaint("count = 1\n"), "f.toml:1: key count stands outside any section; the nearest known key is a.count");
  EXPECT_EQ(complaint("", {"a.ratee=1"}), "--set a.ratee=1: unknown key a.ratee; the nearest known key is a.rate");
}

TEST(Configuration, says_what_was_expected_and_what_was_found) {
  EXPECT_EQ(complaint("[a]\ncount = 65\n"), "f.toml:2: a.count: expected a whole number from 1 to 64, found 65");
  EXPECT_EQ(complaint("[a]\ncount = 1.5\n"), "f.toml:2: a.count: expected a whole number from 1 to 64, found 1.5");
  EXPECT_EQ(complaint("[a]\nrate = \"x\"\n"), "f.toml:2: a.rate: expected a number from 0 to 1, found the text 'x'");
  EXPECT_THAT(complaint("[a]\nrate = nan\n"), HasSubstr("found nan"));
  EXPECT_EQ(complaint("[a]\nflag = 1\n"), "f.toml:2: a.flag: expected true or false, found 1");
  EXPECT_EQ(complaint("[a]\nmode = \"slow\"\n"), "f.toml:2: a.mode: expected one of \"fast\", \"exact\", found the text 'slow'");
  EXPECT_THAT(complaint("[lists]\nsizes = [1, 10]\n"), HasSubstr("whole numbers from 0 to 9, found [ 1, 10 ]"));
  EXPECT_THAT(complaint("[lists]\nwords = [\"z\"]\n"), HasSubstr("one of \"x\", \"y\""));
  EXPECT_THAT(complaint("[lists]\nweight = { b = 11 }\n"), HasSubstr("of numbers from 0 to 10"));
  EXPECT_THAT(complaint("[[a]]\ncount = 1\n"), HasSubstr("expected a section [a]"));
}

TEST(Configuration, reports_all_faults_in_the_order_of_the_lines) {
  EXPECT_EQ(complaint("[lists]\nz = 1\n[a]\nrate = 2\ncount = 2\ncuont = 0\n"),
            "f.toml:2: unknown key lists.z; the nearest known key is lists.sizes\n"
            "f.toml:4: a.rate: expected a number from 0 to 1, found 2\n"
            "f.toml:6: unknown key a.cuont; the nearest known key is a.count");
}

TEST(Configuration, names_the_line_of_broken_or_doubled_toml) {
  EXPECT_THAT(complaint("[a]\ncount = \n"), HasSubstr("f.toml:2: not TOML: "));
  EXPECT_THAT(complaint("[a]\ncount = 1\ncount = 2\n"), HasSubstr("f.toml:3: not TOML: "));
}

TEST(Overrides, are_toml_or_a_bare_word_and_win_over_the_file) {
  Sample sample;
  Configuration configuration(sample.sections());
  configuration.apply_text("[a]\nmode = \"fast\"\n[lists]\nweight = { b = 1 }\n", "f.toml");
  configuration.apply_overrides({"a.mode=exact", "a.name=runs/x=1", "a.flag=false", "lists.sizes=[3, 4]", "lists.weight.encoder.layer=0.1", "a.rate=1e-3"});
  EXPECT_EQ(sample.mode, "exact");
  EXPECT_EQ(sample.name, "runs/x=1");
  EXPECT_FALSE(sample.flag);
  EXPECT_THAT(sample.sizes, testing::ElementsAre(3, 4));
  EXPECT_THAT(sample.weight, testing::ElementsAre(testing::Pair("b", 1.0), testing::Pair("encoder.layer", 0.1)));
  EXPECT_EQ(sample.rate, 1e-3);
  configuration.apply_overrides({"a.name=12", "a.count=5", "a.count=6"});
  EXPECT_EQ(sample.name, "12");
  EXPECT_EQ(sample.count, 6);
  configuration.apply_overrides({"a.name=\"quoted word\""});
  EXPECT_EQ(sample.name, "quoted word");
  configuration.apply_overrides({"a.name="});
  EXPECT_EQ(sample.name, "");
}

TEST(Overrides, are_refused_with_the_same_words_as_the_file) {
  EXPECT_EQ(complaint("", {"a.count"}), "--set a.count: expected section.key=value");
  EXPECT_EQ(complaint("", {"a.count=many"}), "--set a.count=many: expected a whole number from 1 to 64, found many");
  EXPECT_EQ(complaint("", {"a.count="}), "--set a.count=: expected a whole number from 1 to 64, found nothing");
  EXPECT_EQ(complaint("", {"a.mode=slow"}), "--set a.mode=slow: expected one of \"fast\", \"exact\", found the text 'slow'");
  EXPECT_EQ(complaint("", {"lists.weight.b=-1"}), "--set lists.weight.b=-1: expected a number from 0 to 10, found -1");
  EXPECT_THAT(complaint("", {"a.count.x=1"}), HasSubstr("expected a whole number from 1 to 64, found an entry called x"));
  EXPECT_THAT(complaint("", {"a.count=1\nrate = 2"}), HasSubstr("expected a whole number"));
}

TEST(Configuration, is_unchanged_by_what_it_refuses) {
  Sample sample;
  Configuration configuration(sample.sections());
  EXPECT_THROW(configuration.apply_text("[lists]\npairs = [[1, 2], [\"x\"]]\n", "f.toml"), Error);
  EXPECT_THAT(sample.pairs, testing::ElementsAre(testing::ElementsAre(3, 1)));
  EXPECT_EQ(configuration.origin("lists.pairs"), "default");
}

TEST(Printout, read_back_gives_the_same_values_and_digest) {
  Sample sample;
  Configuration configuration(sample.sections());
  configuration.apply_text(
      "[a]\nrate = 0.1\nname = \"tab\\t \\\\ \\u0001 ü\"\n[lists]\ngroups = [[\"a\\\"b\"]]\nweight = { \"x.y\" = 3, z = 1e-7 }\nloss = { q = \"l\" }\n",
      "f.toml");
  Sample copy;
  Configuration again(copy.sections());
  again.apply_text(configuration.to_toml(true), "copy.toml");
  EXPECT_EQ(again.to_toml(), configuration.to_toml());
  EXPECT_EQ(again.digest(), configuration.digest());
  EXPECT_EQ(copy.name, sample.name);
  EXPECT_EQ(copy.weight, sample.weight);
  EXPECT_EQ(copy.groups, sample.groups);
  const auto json = nlohmann::json::parse(configuration.to_json());
  EXPECT_EQ(json.at("lists").at("weight").at("x.y"), 3.0);
  EXPECT_EQ(json.at("a").at("name"), sample.name);
}

TEST(Digest, depends_on_every_value_but_those_left_out) {
  const auto digest = [](const std::vector<std::string>& overrides, const std::vector<std::string>& exclude) {
    Sample sample;
    Configuration configuration(sample.sections());
    configuration.apply_overrides(overrides);
    return configuration.digest(exclude);
  };
  EXPECT_EQ(digest({}, {}).size(), 64U);
  EXPECT_EQ(digest({"a.count=4"}, {}), digest({}, {}));  // the default, said aloud
  EXPECT_NE(digest({"a.count=5"}, {}), digest({}, {}));
  EXPECT_EQ(digest({"a.name=x"}, {"a.name"}), digest({}, {"a.name"}));
  EXPECT_NE(digest({"a.name=x"}, {"a.mode"}), digest({}, {"a.mode"}));
  EXPECT_EQ(digest({"a.name=x", "a.count=9"}, {"a"}), digest({}, {"a"}));
}

TEST(Configuration, takes_a_word_in_place_of_a_list_that_has_one) {
  const auto set = [](const std::string& text, const std::vector<std::string>& overrides) {
    Sample sample;
    Configuration configuration(sample.sections());
    configuration.apply_text(text, "f.toml");
    configuration.apply_overrides(overrides);
    return std::pair(sample.parts, sample.again);
  };
  using Set = std::pair<std::vector<std::int64_t>, std::vector<std::string>>;
  EXPECT_EQ(set("[lists]\nparts = \"auto\"\nagain = \"none\"", {}), (Set{}));
  EXPECT_EQ(set("[lists]\nparts = [2, 3]\nagain = \"all\"", {}), (Set{{2, 3}, {"all"}}));
  EXPECT_EQ(set("", {"lists.parts=auto", "lists.again=all"}), (Set{{}, {"all"}}));
  EXPECT_EQ(set("", {"lists.parts=\"auto\"", "lists.again=[\"a\", \"c\"]"}), (Set{{}, {"a", "c"}}));
  EXPECT_THAT(complaint("[lists]\nparts = \"none\""), HasSubstr("expected a list such as [1, 2] of whole numbers from 1 to 9, or \"auto\""));
  EXPECT_THAT(complaint("", {"lists.parts=2"}), HasSubstr("or \"auto\""));
  EXPECT_THAT(complaint("", {"lists.again=3"}), HasSubstr("or one such text, or \"none\""));
  EXPECT_THAT(complaint("[lists]\nsizes = \"auto\""), HasSubstr("found the text")) << "a list without a word for none";
}

TEST(Schema, tells_types_limits_defaults_and_help) {
  Sample sample;
  Configuration configuration(sample.sections());
  configuration.apply_overrides({"a.count=9"});
  const auto schema = nlohmann::json::parse(configuration.schema_json());
  const auto& a = schema.at("properties").at("a");
  EXPECT_EQ(a.at("additionalProperties"), false);
  const auto& count = a.at("properties").at("count");
  EXPECT_EQ(count.at("type"), "integer");
  EXPECT_EQ(count.at("minimum"), 1);
  EXPECT_EQ(count.at("maximum"), 64);
  EXPECT_EQ(count.at("default"), 4);
  EXPECT_EQ(count.at("description"), "a count");
  EXPECT_EQ(a.at("properties").at("mode").at("enum"), (nlohmann::json{"fast", "exact"}));
  EXPECT_FALSE(a.at("properties").at("name").contains("enum"));
  const auto& lists = schema.at("properties").at("lists").at("properties");
  EXPECT_EQ(lists.at("pairs").at("items").at("items").at("type"), "integer");
  EXPECT_EQ(lists.at("weight").at("additionalProperties").at("maximum"), 10);
  EXPECT_EQ(lists.at("parts").at("anyOf").at(0).at("items").at("maximum"), 9);
  EXPECT_EQ(lists.at("parts").at("anyOf").at(1).at("const"), "auto");
  EXPECT_EQ(lists.at("again").at("anyOf").at(1).at("type"), "string");
}

TEST(Nearest, counts_a_swap_as_one_step) {
  EXPECT_EQ(edit_distance("cuont", "count"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(nearest("x", {}), "");
  const std::vector<std::string> names = {"train", "export", "evaluate"};
  EXPECT_EQ(nearest("trian", names), "train");
  EXPECT_EQ(nearest("exprot", names), "export");
}

}  // namespace
}  // namespace tributary
