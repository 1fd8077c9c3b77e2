// Made-up source folders, built with the shipped recipes and checked value by value; what lies after the prediction hour is in no input.
#include <gmock/gmock.h>

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "ingest/build_shards.h"
#include "support/data_set_reading.h"
#include "support/folder.h"
#include "support/source_tables.h"

namespace tributary {
namespace {

using test::DataSet;
using test::RecordView;
using testing::ElementsAre;
using testing::UnorderedElementsAre;
using Value = RecordView::Value;

std::string source_text(const std::string& relative) {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  if (source == nullptr) throw std::runtime_error("TRIBUTARY_SOURCE is not set");
  return read_file(std::filesystem::path(source) / relative);
}

Recipe shipped(const std::string& name) { return parse_recipe(source_text("shards/recipes/" + name + ".toml"), name + ".toml"); }

struct Built {
  DataSet set;
  BuildResult result;
};

Built build(const Recipe& recipe, const std::filesystem::path& source, const std::filesystem::path& out, const BuildOptions& options = {}) {
  Built built;
  built.result = build_shards(Communicator::self(), recipe, source, out, options);
  built.set = test::read_data_set(out);
  return built;
}

Built build(const Recipe& recipe, const test::SourceTables& tables, bool compressed = false) {
  const test::Folder folder;
  test::write_tables(tables, folder.path() / "tables", compressed);
  return build(recipe, folder.path() / "tables", folder.path() / "shards");
}

TEST(EicuRecipe, every_table_of_a_small_folder_becomes_the_expected_values) {
  const Recipe recipe = shipped("eicu-demo");
  const Built built = build(recipe, test::made_up_eicu(), true);
  EXPECT_EQ(built.set.catalogue.total_rows(), 41);
  EXPECT_EQ(built.result.report.counts.at("records left out, unitdischargeoffset below 1440"), 1);
  EXPECT_THROW(RecordView(built.set, "103"), std::runtime_error);

  const RecordView one(built.set, "101");
  EXPECT_EQ(one.feature("age"), (Value{70, true}));
  EXPECT_EQ(one.feature("sex=Female"), (Value{1, true}));
  EXPECT_EQ(one.feature("sex=Male"), (Value{0, true}));
  EXPECT_EQ(one.feature("unit admit source=Operating Room"), (Value{1, true}));  // PACU
  EXPECT_EQ(one.feature("APACHE GCS eyes"), (Value{4, true}));
  EXPECT_EQ(one.feature("APACHE urine"), (Value{0, false}));  // -1 is unknown
  EXPECT_EQ(one.feature("APACHE urea nitrogen"), (Value{static_cast<float>(std::log1p(28.0)), true}));
  EXPECT_EQ(one.feature("APACHE metastatic cancer"), (Value{1, true}));
  EXPECT_EQ(one.feature("care limitation=full therapy"), (Value{1, true}));
  EXPECT_EQ(one.series("pressure", "systolic", 1), (Value{125, true}));  // mean of 120 at 61 and 130 at 119 min
  EXPECT_EQ(one.series("pressure", "systolic", 0), (Value{100, true}));  // from ten minutes before admission
  EXPECT_EQ(one.series("pressure", "lowest mean", 1), (Value{80, true}));
  EXPECT_EQ(one.series("pressure", "mean", 5), (Value{0, false}));  // 999 is no pressure
  EXPECT_EQ(one.series("respiratory", "FiO2", 2), (Value{40, true}));
  EXPECT_EQ(one.series("respiratory", "PEEP", 3), (Value{5, true}));
  EXPECT_EQ(one.series("respiratory", "artificial airway", 3), (Value{1, true}));
  EXPECT_EQ(one.series("intake_output", "urine", 2), (Value{static_cast<float>(std::log1p(150.0)), true}));
  EXPECT_EQ(one.series("intake_output", "intake", 2), (Value{static_cast<float>(std::log1p(250.0)), true}));
  EXPECT_EQ(one.series("drips", "vasopressor", 1), (Value{1, true}));
  EXPECT_EQ(one.series("drips", "vasopressor", 2), (Value{0, false}));  // a rate of 0
  EXPECT_EQ(one.series("labs", "sodium", 0), (Value{143, true}));       // the last of the hour
  EXPECT_EQ(one.series("exam", "GCS motor", 1), (Value{6, true}));
  EXPECT_EQ(one.series("exam", "heart rate current", 1), (Value{88, true}));
  const std::vector<RecordView::Note> notes = {{0, "Past history, Pulmonary: asthma."},
                                               {1, "Physical exam, Neurologic, GCS, Motor Score: 6."},
                                               {1, "Note, Review Of Systems, Systems, Pulmonary, Cough: yes."},
                                               {1, "Allergy: penicillins, all."}};
  EXPECT_EQ(one.notes(), notes);
  EXPECT_EQ(one.presence(), has_static | has_series | has_notes);
  EXPECT_EQ(built.result.report.counts.at("series respiratory/FiO2: not a number"), 1);
  EXPECT_EQ(built.result.report.counts.at("series pressure/mean: outside the range"), 1);
}

TEST(EicuRecipe, labels_come_from_outcomes_and_from_what_follows_the_prediction_hour) {
  const Built built = build(shipped("eicu-demo"), test::made_up_eicu());
  const RecordView one(built.set, "101"), two(built.set, "102"), four(built.set, "104");
  EXPECT_THAT(one.label("mortality"), ElementsAre("survived"));
  EXPECT_THAT(two.label("mortality"), ElementsAre("died"));
  EXPECT_THAT(four.label("mortality"), ElementsAre("unknown"));
  EXPECT_THAT(one.label("length_of_stay"), ElementsAre("2 to 4 d"));
  EXPECT_THAT(two.label("length_of_stay"), ElementsAre("7 d and more"));
  EXPECT_THAT(four.label("length_of_stay"), ElementsAre("below 2 d"));
  EXPECT_THAT(one.label("sepsis"), ElementsAre("sepsis"));
  EXPECT_THAT(two.label("sepsis"), ElementsAre("sepsis"));
  EXPECT_THAT(four.label("sepsis"), ElementsAre("no sepsis"));
  EXPECT_THAT(RecordView(built.set, "200").label("primary_diagnosis"), testing::SizeIs(1));
  EXPECT_THAT(four.label("primary_diagnosis"), ElementsAre("unknown"));
  EXPECT_THAT(one.label("medication"), UnorderedElementsAre("diuretic"));  // antiplatelets were ordered before, the warfarin was cancelled
  EXPECT_THAT(two.label("medication"), ElementsAre());
  EXPECT_THAT(four.label("medication"), ElementsAre("unknown"));
  EXPECT_THAT(one.label("procedure"), ElementsAre("renal|dialysis"));  // ventilation was charted before
  EXPECT_EQ(two.feature("age"), (Value{90, true}));
}

TEST(EicuRecipe, label_maps_and_vocabulary_are_fitted_on_training_records_alone) {
  const Recipe recipe = shipped("eicu-demo");
  test::SourceTables tables = test::made_up_eicu();
  const Built base = build(recipe, tables);
  std::string held_out;
  for (const RecordBlock& part : base.set.parts)
    for (std::size_t row = 0; row < part.ids.size(); ++row)
      if (part.split[row] == static_cast<std::uint8_t>(Split::test) && part.ids[row][0] == '2') held_out = part.ids[row];
  ASSERT_FALSE(held_out.empty());
  for (int i = 0; i < 3; ++i) tables["treatment"].push_back(held_out + ",1600,only|here " + std::to_string(i));
  tables["allergy"].push_back(held_out + ",1,1,zzyzx");
  const Built more = build(recipe, tables);
  EXPECT_EQ(more.set.catalogue.schema, base.set.catalogue.schema);
  EXPECT_EQ(more.set.catalogue.vocabulary, base.set.catalogue.vocabulary);
  EXPECT_NE(RecordView(more.set, held_out).notes(), RecordView(base.set, held_out).notes());
}

TEST(EicuRecipe, a_vocabulary_given_by_the_user_takes_the_place_of_the_fitted_one) {
  const test::Folder folder;
  test::write_tables(test::made_up_eicu(), folder.path() / "tables", false);
  BuildOptions options;
  options.tokenizer.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "exam"};
  const Built built = build(shipped("eicu-demo"), folder.path() / "tables", folder.path() / "shards", options);
  EXPECT_EQ(built.set.catalogue.vocabulary, options.tokenizer.vocabulary);
  std::size_t tokens = 0;
  for (const RecordBlock& part : built.set.parts)
    for (const std::int32_t id : part.notes.token_ids) {
      EXPECT_LT(id, 8);
      ++tokens;
    }
  EXPECT_GT(tokens, 0U);
}

// Rows after the hour, in all input tables at once, change no input of any record; each table's rows do when they stand before it.
TEST(EicuRecipe, a_row_from_the_prediction_hour_on_is_in_no_input) {
  const Recipe recipe = shipped("eicu-demo");
  const test::SourceTables base_tables = test::made_up_eicu();
  const Built base = build(recipe, base_tables);
  const RecordView base_view(base.set, "101");
  int seen = 0;
  for (const auto& [table, rows] : test::planted_rows(1439, 1439)) {
    test::SourceTables tables = base_tables;
    tables[table].insert(tables[table].end(), rows.begin(), rows.end());
    const Built early = build(recipe, tables);
    const RecordView view(early.set, "101");
    EXPECT_TRUE(view.inputs() != base_view.inputs() || view.notes() != base_view.notes()) << table << ": the planted row is never seen";
    ++seen;
  }
  EXPECT_EQ(seen, 11);

  // Measured and entered after the hour; measured before and entered after (tables with a time of entry); the other way round.
  for (const auto& [time, entered] : {std::pair{1440, 1440}, std::pair{1439, 1440}, std::pair{1440, 1439}}) {
    test::SourceTables tables = base_tables;
    int planted = 0;
    for (const auto& [table, rows] : test::planted_rows(time, entered)) {
      const bool has_entry_time = test::planted_rows(1, 2).at(table) != test::planted_rows(1, 3).at(table);
      if (time < 1440 && !has_entry_time) continue;
      tables[table].insert(tables[table].end(), rows.begin(), rows.end());
      ++planted;
    }
    EXPECT_EQ(planted, time < 1440 ? 6 : 11);
    const Built late = build(recipe, tables);
    const RecordView view(late.set, "101");
    EXPECT_EQ(view.inputs(), base_view.inputs());
    EXPECT_EQ(view.notes(), base_view.notes());
    EXPECT_EQ(late.set.catalogue.vocabulary, base.set.catalogue.vocabulary);
    EXPECT_EQ(late.set.catalogue.content_digest, base.set.catalogue.content_digest);
  }
}

TEST(EicuRecipe, other_shards_give_vocabulary_channels_label_maps_and_normalisation) {
  const Recipe recipe = shipped("eicu-demo");
  const test::Folder folder;
  test::write_tables(test::made_up_eicu(), folder.path() / "tables", false);
  const Built trained = build(recipe, folder.path() / "tables", folder.path() / "trained");
  test::SourceTables fresh = test::made_up_eicu();
  fresh["lab"].push_back("101,100,100,sodium,120");
  fresh["allergy"].push_back("102,1,1,neverseenbefore");
  fresh["treatment"].push_back("102,1600,unheard|of");
  test::write_tables(fresh, folder.path() / "fresh", false);
  Recipe renamed = recipe;
  std::reverse(renamed.statics.begin(), renamed.statics.end());
  renamed.series[0].channels[0].channel.name = "another systolic";
  BuildOptions options;
  options.like = folder.path() / "trained";
  options.salt = "7";
  const Built applied = build(renamed, folder.path() / "fresh", folder.path() / "applied", options);
  EXPECT_EQ(applied.set.catalogue.schema, trained.set.catalogue.schema);
  EXPECT_EQ(applied.set.catalogue.vocabulary, trained.set.catalogue.vocabulary);
  EXPECT_EQ(applied.set.catalogue.tokenizer_digest, trained.set.catalogue.tokenizer_digest);
  EXPECT_EQ(applied.set.catalogue.normalisation, trained.set.catalogue.normalisation);
  EXPECT_THAT(applied.result.differences,
              ElementsAre(testing::HasSubstr("another systolic is left out"), testing::HasSubstr("pressure/systolic is never observed")));
  const RecordView one(applied.set, "101");
  EXPECT_EQ(one.series("labs", "sodium", 1), (Value{120, true}));
  EXPECT_EQ(one.series("pressure", "systolic", 1), (Value{0, false}));
  EXPECT_EQ(one.feature("age"), (Value{70, true}));
  EXPECT_THAT(RecordView(applied.set, "102").label("procedure"), ElementsAre());
}

TEST(EicuRecipe, missing_tables_and_columns_are_named) {
  const Recipe recipe = shipped("eicu-demo");
  const auto message = [&](const test::SourceTables& tables, ErrorKind kind) -> std::string {
    try {
      (void)build(recipe, tables);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  };
  test::SourceTables tables = test::made_up_eicu();
  tables.erase("infusionDrug");
  EXPECT_THAT(message(tables, ErrorKind::missing), testing::HasSubstr("infusionDrug.csv.gz"));
  tables = test::made_up_eicu();
  tables["lab"][0] = "patientunitstayid,labresultoffset,labresultrevisedoffset,name,labresult";
  EXPECT_THAT(message(tables, ErrorKind::data), testing::AllOf(testing::HasSubstr("lab.csv"), testing::HasSubstr("'labname'")));
  tables["lab"][0] = "patientunitstayid,labresultoffset,labresultrevisedoffset,lab_name,labresult";
  EXPECT_THAT(message(tables, ErrorKind::data), testing::AllOf(testing::HasSubstr("5 columns"), testing::HasSubstr("'lab_name'")));
  tables = test::made_up_eicu();
  tables["patient"].push_back(tables["patient"][1]);
  EXPECT_THAT(message(tables, ErrorKind::data), testing::AllOf(testing::HasSubstr("patient.csv:44"), testing::HasSubstr("second time")));
}

TEST(EicuRecipe, text_that_a_killed_build_left_is_removed_by_the_next_one) {
  const test::Folder folder;
  test::write_tables(test::made_up_eicu(), folder.path() / "tables", false);
  std::array<char, 256> host{};
  ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
  const auto leftover = [&](const std::string& name, const std::string& builder) {
    std::filesystem::create_directory(folder.path() / name);
    write_file(folder.path() / name / "builder", builder);
    write_file(folder.path() / name / "part-00000.rank-00000", "text of a record");
    return folder.path() / name;
  };
  const auto dead = leftover("shards.spill.building-999999999", host.data());  // above every process number
  const auto elsewhere = leftover("shards.spill.building-999999998", "another host");
  const Built built = build(shipped("eicu-demo"), folder.path() / "tables", folder.path() / "shards");
  EXPECT_EQ(built.set.catalogue.total_rows(), 41);
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(elsewhere));  // its builder may be alive
  int left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left += entry.path().filename().string().starts_with("shards.") ? 1 : 0;
  EXPECT_EQ(left, 1) << "this build left something beside its result";
}

TEST(EicuRecipe, a_table_without_its_header_line_shows_nothing_of_its_records) {
  test::SourceTables tables = test::made_up_eicu();
  tables["allergy"] = {"101,20,70,secretdrug", "102,20,70,other"};
  try {
    (void)build(shipped("eicu-demo"), tables);
    ADD_FAILURE() << "a table without a header line was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("allergy.csv"), testing::HasSubstr("4 columns"), testing::HasSubstr("header line missing"),
                                             testing::Not(testing::HasSubstr("secretdrug")), testing::Not(testing::HasSubstr("101"))));
  }
}

TEST(EicuRecipe, bad_rows_are_counted_and_too_many_stop_the_build) {
  Recipe recipe = shipped("eicu-demo");
  recipe.max_bad_rows = 3;
  test::SourceTables tables = test::made_up_eicu();
  tables["lab"].push_back("101,soon,50,BUN,31");
  tables["lab"].push_back("101,50");
  tables["note"].push_back("101,1,2,\"x\"y,z");
  const Built built = build(recipe, tables);
  EXPECT_EQ(built.result.report.bad_total(), 3);
  EXPECT_THAT(built.result.report.first_bad_rows, testing::Contains("lab.csv:5: the time is not a number"));
  tables["allergy"].push_back(",1,1,x");
  const test::Folder folder;
  test::write_tables(tables, folder.path() / "tables", false);
  try {
    (void)build(recipe, folder.path() / "tables", folder.path() / "shards");
    ADD_FAILURE() << "four bad rows were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("4 rows"), testing::HasSubstr(".csv:")));
  }
  int left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left += entry.path().filename() == "tables" ? 0 : 1;
  EXPECT_EQ(left, 0) << "something was left beside the tables";
}

TEST(PhysionetRecipe, both_layouts_give_the_same_records) {
  const Recipe recipe = shipped("physionet2012");
  const test::Folder folder;
  std::filesystem::create_directories(folder.path() / "original" / "set-a");
  std::filesystem::create_directories(folder.path() / "joined");
  std::string joined = "RecordID,Time,Parameter,Value\n";
  for (const auto& [id, text] : test::made_up_physionet()) {
    write_file(folder.path() / "original" / "set-a" / (id + ".txt"), text);
    std::size_t at = text.find('\n') + 1;
    for (std::size_t end = text.find('\n', at); end != std::string::npos; at = end + 1, end = text.find('\n', at)) {
      const std::string line = text.substr(at, end - at);
      if (line.find("RecordID") == std::string::npos) joined += id + "," + line + "\n";
    }
  }
  write_file(folder.path() / "joined" / "set-a.csv", joined);
  for (const char* layout : {"original", "joined"}) write_file(folder.path() / layout / "Outcomes-a.txt", test::made_up_outcomes);
  const Built original = build(recipe, folder.path() / "original", folder.path() / "one");
  const Built other = build(recipe, folder.path() / "joined", folder.path() / "two");
  EXPECT_EQ(original.set.catalogue.content_digest, other.set.catalogue.content_digest);
  EXPECT_EQ(original.set.catalogue.total_rows(), 4);

  const RecordView one(original.set, "132539"), two(original.set, "132540"), three(original.set, "132541"), four(original.set, "132542");
  EXPECT_EQ(one.feature("age"), (Value{54, true}));
  EXPECT_EQ(one.feature("sex=female"), (Value{1, true}));
  EXPECT_EQ(one.feature("height"), (Value{0, false}));
  EXPECT_EQ(one.feature("unit=surgical"), (Value{1, true}));
  EXPECT_EQ(three.feature("sex=male"), (Value{0, false}));
  EXPECT_EQ(one.series("vitals", "heart rate", 0), (Value{75, true}));
  EXPECT_EQ(one.series("vitals", "heart rate", 2), (Value{0, false}));
  EXPECT_EQ(one.series("vitals", "GCS", 47), (Value{15, true}));
  EXPECT_EQ(one.series("output", "urine", 1), (Value{static_cast<float>(std::log1p(1000.0)), true}));
  EXPECT_EQ(two.series("ventilation", "pH", 10), (Value{7.45F, true}));
  EXPECT_THAT(one.label("mortality"), ElementsAre("survived"));
  EXPECT_THAT(two.label("mortality"), ElementsAre("died"));
  EXPECT_THAT(one.label("length_of_stay"), ElementsAre("below 6 d"));
  EXPECT_THAT(two.label("length_of_stay"), ElementsAre("17 d and more"));
  EXPECT_THAT(three.label("length_of_stay"), ElementsAre("unknown"));
  EXPECT_THAT(four.label("length_of_stay"), ElementsAre("10 to 16 d"));
  EXPECT_EQ(four.presence(), 0);
}

}  // namespace
}  // namespace tributary
