#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "ingest/label_map.h"
#include "ingest/note_text.h"
#include "ingest/pattern.h"
#include "ingest/recipe.h"
#include "ingest/record_layout.h"
#include "ingest/source_files.h"
#include "ingest/source_value.h"

namespace tributary {
namespace {

const std::string small_recipe = R"(name = "small_recipe"
[time]
hours = 24
[split]
salt = "1"
[sample]
table = "stays"
patient = "person"
[table.stays]
files = ["stays.csv"]
record = "stay"
[table.day]
files = ["day.csv"]
record = "stay"
known_hour = 24
[table.labs]
files = ["labs.csv.gz", "labs.csv"]
record = "stay"
time = "offset"
[[series]]
name = "labs"
[[series.channel]]
name = "sodium"
unit = "mmol/L"
range = [90, 190]
from = [{ table = "labs", value = "result", where = { name = ["sodium", "na*"] } }]
[[static]]
name = "sex"
categories = [["female", "F"], ["male", "M"]]
from = [{ table = "stays", value = "sex" }]
[[static]]
name = "urea"
transform = "log1p"
range = [0, 300]
from = [{ table = "day", value = "urea" }]
[[task]]
name = "stay"
kind = "multiclass"
edges = [2, 4]
classes = ["short", "middle", "long"]
from = [{ table = "stays", value = "days" }]
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string recipe_refusal(const std::string& toml) {
  try {
    (void)parse_recipe(toml, "small.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return error.what();
  }
  ADD_FAILURE() << "the recipe was accepted";
  return "";
}

TEST(Recipe, gives_the_schema_in_its_own_order) {
  const Schema schema = schema_of(parse_recipe(small_recipe, "small.toml"));
  EXPECT_EQ(schema.steps, 24);
  EXPECT_EQ(schema.statics, (std::vector<Channel>{{"sex=female", "0/1"}, {"sex=male", "0/1"}, {"urea", "log(1 + 1)"}}));
  ASSERT_EQ(schema.series.size(), 1U);
  EXPECT_EQ(schema.series[0].channels, (std::vector<Channel>{{"sodium", "mmol/L"}}));
  ASSERT_EQ(schema.tasks.size(), 1U);
  EXPECT_EQ(schema.tasks[0].classes, (std::vector<std::string>{"short", "middle", "long"}));
  EXPECT_FALSE(schema.notes);
}

TEST(Recipe, an_unknown_key_is_refused_with_its_line_and_the_nearest_key) {
  const std::string message = recipe_refusal(replaced(small_recipe, "unit = \"mmol/L\"", "units = \"mmol/L\""));
  EXPECT_NE(message.find("small.toml:24"), std::string::npos) << message;
  EXPECT_NE(message.find("'units'"), std::string::npos) << message;
  EXPECT_NE(message.find("'unit'"), std::string::npos) << message;
}

TEST(Recipe, mistakes_are_refused_with_their_line) {
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "table = \"labs\"", "table = \"lab\"")).find("small.toml:26"), std::string::npos);
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "range = [90, 190]", "range = [190, 90]")).find("'range'"), std::string::npos);
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "classes = [\"short\", ", "classes = [")).find("'edges'"), std::string::npos);
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "name = \"urea\"", "name = \"sex=male\"")).find("sex=male"), std::string::npos);
  EXPECT_NE(recipe_refusal("name = \"x\"\n[time\n").find("small.toml:2"), std::string::npos);
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "range = [0, 300]\n", "")).find("log1p"), std::string::npos);
}

TEST(Recipe, what_is_known_only_after_the_prediction_hour_is_refused_as_an_input) {
  EXPECT_NE(recipe_refusal(replaced(small_recipe, "hours = 24", "hours = 12")).find("prediction hour 12"), std::string::npos);
}

TEST(Recipe, the_shipped_ones_parse) {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  ASSERT_NE(source, nullptr);
  const std::filesystem::path folder = std::filesystem::path(source) / "shards" / "recipes";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    const Recipe recipe = parse_recipe(read_file(entry.path()), entry.path().string());
    EXPECT_FALSE(recipe.tasks.empty()) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(Pattern, a_star_stands_for_anything_and_case_does_not_count) {
  EXPECT_TRUE(matches("*/GCS/Motor Score/*", "notes/Exam/GCS/motor score/6"));
  EXPECT_TRUE(matches("a*b*c", "aXbXbc"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_FALSE(matches("a*b", "abc"));
  EXPECT_FALSE(matches("sodium", "sodium "));
}

TEST(SourceValue, numbers_are_read_whole_or_not_at_all) {
  EXPECT_EQ(parse_number(" 1.5 "), 1.5);
  EXPECT_EQ(parse_number("+2e1"), 20);
  for (const char* text : {"", "1.5x", "nan", "inf", "> 89", "1,5"}) EXPECT_FALSE(parse_number(text).has_value()) << text;
  EXPECT_EQ(parse_minute("47:59", TimeFormat::clock), 47 * 60 + 59);
  EXPECT_FALSE(parse_minute("47:60", TimeFormat::clock).has_value());
  EXPECT_FALSE(parse_minute("12", TimeFormat::clock).has_value());
  EXPECT_EQ(parse_minute("1.5", TimeFormat::hours), 90);
}

TEST(SourceValue, unknown_replaced_scaled_and_implausible_values) {
  NumberRule rule;
  rule.lowest = 0;
  rule.highest = 100;
  rule.unknown = {"-1"};
  rule.replace = {{"> 89", "90"}};
  EXPECT_EQ(read_value(rule, "> 89").value, 90);
  EXPECT_EQ(read_value(rule, "-1.0").reading, Reading::unknown);
  EXPECT_EQ(read_value(rule, "").reading, Reading::unknown);
  EXPECT_EQ(read_value(rule, "101").reading, Reading::outside);
  EXPECT_EQ(read_value(rule, "ten").reading, Reading::not_a_number);
  rule.percent = true;
  EXPECT_EQ(read_value(rule, "0.5").value, 50);
  EXPECT_EQ(read_value(rule, "40").value, 40);
  EXPECT_EQ(path_prefix("a|b|c", "|", 2), "a|b");
  EXPECT_EQ(path_prefix("a", "|", 2), "a");
}

TEST(NoteText, entries_become_sentences_grouped_in_paragraphs) {
  NoteRule rule;
  rule.prefix = "Physical exam";
  rule.drop = {"notes", "exam"};
  const NoteEntry motor = render_entry(rule, "notes/Exam/Neurologic/Motor Score/6", "6");
  EXPECT_EQ(motor.sentence, "Physical exam, Neurologic, Motor Score: 6.");
  EXPECT_EQ(motor.paragraph, "Neurologic");
  EXPECT_EQ(render_entry(rule, "notes/Exam/HR/HR Current", "88").sentence, "Physical exam, HR Current: 88.");
  EXPECT_EQ(render_entry(rule, "notes/Exam/Asthma/asthma", "Asthma").sentence, "Physical exam: Asthma.");  // said three times in two cases
  EXPECT_EQ(render_entry(rule, "", "Caf\xc3\xa9  \t au lait").sentence, "Physical exam: Caf\xc3\xa9 au lait.");
  EXPECT_EQ(render_entry(rule, "notes/Exam", "").sentence, "");
  const NoteEntry edema = render_entry(rule, "notes/Exam/Extremities/Edema", "none");
  const NoteEntry eyes = render_entry(rule, "notes/Exam/Neurologic/Eyes Score/4", "4");
  EXPECT_EQ(join_entries({motor, edema, eyes, motor}),
            "Physical exam, Neurologic, Motor Score: 6. Physical exam, Neurologic, Eyes Score: 4.\n\nPhysical exam, Extremities, Edema: none.");
}

TEST(NoteText, valid_utf8_is_kept_and_other_bytes_are_replaced_and_counted) {
  const std::string valid = "Fi\xc3\xa8vre 38,5 \xe2\x84\x83 \xf0\x9f\xa9\xba";
  EXPECT_EQ(as_utf8(valid).text, valid);
  EXPECT_EQ(as_utf8(valid).replaced_bytes, 0);
  const Utf8Text repaired = as_utf8("caf\xe9 \xc3\xa9 \xe2\x84");  // Latin-1, a whole character, a character cut off
  EXPECT_EQ(repaired.text, "caf\xef\xbf\xbd \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(repaired.replaced_bytes, 3);
}

TEST(LabelMap, classes_are_fitted_by_count_and_the_rest_is_other) {
  TaskRule rule;
  rule.kind = TaskKind::multiclass;
  rule.fitted = true;
  rule.minimum_count = 2;
  EXPECT_EQ(fit_label_map(rule, {{"b", 3}, {"a", 3}, {"c", 9}, {"rare", 1}}), (std::vector<std::string>{"c", "a", "b", "other"}));
  rule.kind = TaskKind::multilabel;
  rule.top = 2;
  EXPECT_EQ(fit_label_map(rule, {{"b", 3}, {"a", 3}, {"c", 9}, {"rare", 1}}), (std::vector<std::string>{"c", "a"}));
}

TEST(LabelMap, a_class_is_first_seen_after_the_prediction_hour_or_it_is_not) {
  TaskRule rule;
  rule.kind = TaskKind::multilabel;
  rule.window = Window::first_after;
  rule.categories = {{"a", {}}, {"b", {}}, {"c", {}}};
  const auto event = [](int minute, double category) {
    Event result;
    result.minute = minute;
    result.value = category;
    return result;
  };
  const std::vector<Event> events = {event(10, 0), event(1440, 0), event(1440, 1), event(1500, -1)};
  EXPECT_EQ(outcome_of(rule, {}, events, 1440).classes, (std::vector<std::string>{"b"}));
  EXPECT_TRUE(outcome_of(rule, {}, std::span(events).first(1), 1440).valid);
  EXPECT_FALSE(outcome_of(rule, {}, {}, 1440).valid);
  rule.window = Window::after;
  EXPECT_EQ(outcome_of(rule, {}, events, 1440).classes, (std::vector<std::string>{"a", "b"}));
}

TEST(RecordLayout, columns_follow_the_other_shards_by_name) {
  const Recipe recipe = parse_recipe(small_recipe, "small.toml");
  Schema other = schema_of(recipe);
  std::swap(other.statics[0], other.statics[2]);
  other.statics.pop_back();
  other.series[0].channels.insert(other.series[0].channels.begin(), {"potassium", "mmol/L"});
  const RecordLayout layout = lay_out(recipe, other);
  EXPECT_EQ(layout.statics, (std::vector<std::vector<int>>{{-1, 1}, {0}}));
  EXPECT_EQ(layout.series[0][0].channel, 1);
  ASSERT_EQ(layout.differences.size(), 2U);
  other.series[0].channels[1].unit = "mg/dL";
  EXPECT_THROW((void)lay_out(recipe, other), Error);
}

TEST(SourceFiles, tables_are_dealt_to_ranks_largest_first_and_each_once) {
  std::vector<SourceFile> files;
  for (std::uint64_t i = 0; i < 9; ++i) files.push_back({0, std::to_string(i), (i * 37) % 11 * 100});
  for (int ranks = 1; ranks <= 4; ++ranks) {
    std::vector<int> seen(files.size(), 0);
    for (int rank = 0; rank < ranks; ++rank)
      for (const std::size_t file : files_of_rank(files, rank, ranks)) ++seen[file];
    EXPECT_EQ(seen, std::vector<int>(files.size(), 1)) << ranks;
  }
}

}  // namespace
}  // namespace tributary
