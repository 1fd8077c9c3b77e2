// A build on any number of ranks gives the same data set; errors reach all ranks; the real folders give the counts that their documentation states.
#include <gmock/gmock.h>

#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "comm/agree.h"
#include "ingest/build_shards.h"
#include "support/data_set_reading.h"
#include "support/shared_folder.h"
#include "support/source_tables.h"

namespace tributary {
namespace {

std::filesystem::path source_folder() {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  if (source == nullptr) throw std::runtime_error("TRIBUTARY_SOURCE is not set");
  return source;
}

Recipe shipped(const std::string& name) {
  const std::filesystem::path path = source_folder() / "shards" / "recipes" / (name + ".toml");
  return parse_recipe(read_file(path), path.string());
}

std::optional<std::filesystem::path> real_data(const std::string& name) {
  std::vector<std::filesystem::path> places = {source_folder() / ".." / "shared" / "data", source_folder() / ".." / ".." / "shared" / "data"};
  if (const char* given = std::getenv("TRIBUTARY_DATA")) places.insert(places.begin(), given);
  for (const auto& place : places)
    if (std::filesystem::is_directory(place / name)) return place / name;
  return std::nullopt;
}

// The content digest of a build by rank 0 alone.
std::string digest_alone(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source, const std::filesystem::path& out,
                         const BuildOptions& options) {
  const std::string own = agreed(
      comm, [&] { return comm.rank() == 0 ? build_shards(Communicator::self(), recipe, source, out, options).catalogue.content_digest : std::string(); });
  return comm.broadcast(own, 0);
}

TEST(Recipes, any_number_of_ranks_and_parts_gives_the_same_records) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  if (comm.rank() == 0) test::write_tables(test::made_up_eicu(), folder.path() / "tables", false);
  comm.barrier();
  for (const std::int64_t parts : {1, 2, 7}) {
    BuildOptions options;
    options.parts = parts;
    const auto together = folder.path() / ("together" + std::to_string(parts)), alone = folder.path() / ("alone" + std::to_string(parts));
    const BuildResult result = build_shards(comm, shipped("eicu-demo"), folder.path() / "tables", together, options);
    EXPECT_EQ(result.catalogue.total_rows(), 41);
    EXPECT_EQ(result.catalogue.parts.size(), static_cast<std::size_t>(parts));
    EXPECT_EQ(result.report.counts.at("table patient: rows"), 42);
    ASSERT_FALSE(result.catalogue.content_digest.empty());
    EXPECT_EQ(result.catalogue.content_digest, digest_alone(comm, shipped("eicu-demo"), folder.path() / "tables", alone, options));
  }
}

TEST(Recipes, errors_reach_all_ranks_and_nothing_is_left) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  if (comm.rank() == 0) {
    test::SourceTables tables = test::made_up_eicu();
    tables["note"].push_back("101,late,2,x,y");
    test::write_tables(tables, folder.path() / "tables", false);
  }
  comm.barrier();
  Recipe recipe = shipped("eicu-demo");
  recipe.max_bad_rows = 0;
  try {
    (void)build_shards(comm, recipe, folder.path() / "tables", folder.path() / "out", {});
    ADD_FAILURE() << "the bad row was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::HasSubstr("note.csv:4"));
  }
  comm.barrier();
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) found += entry.path().filename() == "tables" ? 0 : 1;
  EXPECT_EQ(found, 0);
  try {
    (void)build_shards(comm, recipe, folder.path() / "nowhere", folder.path() / "out", {});
    ADD_FAILURE() << "a folder that is not there was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
  }
}

// Records of a data set whose label has a class, and those with a valid label.
std::pair<std::int64_t, std::int64_t> count_label(const test::DataSet& set, const std::string& task, const std::string& name) {
  std::pair<std::int64_t, std::int64_t> count{0, 0};
  for (const RecordBlock& part : set.parts)
    for (const std::string& id : part.ids) {
      const auto classes = test::RecordView(set, id).label(task);
      count.second += classes == std::vector<std::string>{"unknown"} ? 0 : 1;
      count.first += std::find(classes.begin(), classes.end(), name) != classes.end() ? 1 : 0;
    }
  return count;
}

TEST(Recipes, the_eicu_demo_gives_its_documented_counts_and_one_digest) {
  const Communicator comm = Communicator::world();
  const auto source = real_data("eicu-demo");
  if (!source) GTEST_SKIP() << "no eicu-demo folder; set TRIBUTARY_DATA to the folder that holds it";
  const test::SharedFolder folder(comm);
  const BuildResult result = build_shards(comm, shipped("eicu-demo"), *source, folder.path() / "out", {});
  EXPECT_EQ(result.report.counts.at("records kept"), 1627);
  EXPECT_EQ(result.report.counts.at("table patient: rows"), 2520);
  EXPECT_EQ(result.report.counts.at("table aperiodic: rows"), 274088);
  EXPECT_EQ(result.report.bad_total(), 0);
  const std::string alone = comm.size() == 1 ? result.catalogue.content_digest : digest_alone(comm, shipped("eicu-demo"), *source, folder.path() / "alone", {});
  EXPECT_EQ(result.catalogue.content_digest, alone);
  if (comm.rank() != 0) return;
  const test::DataSet set = test::read_data_set(folder.path() / "out");
  EXPECT_EQ(count_label(set, "mortality", "died"), (std::pair<std::int64_t, std::int64_t>{141, 1607}));
}

TEST(Recipes, physionet_2012_gives_its_documented_counts_and_one_digest) {
  const Communicator comm = Communicator::world();
  const auto source = real_data("physionet2012");
  if (!source) GTEST_SKIP() << "no physionet2012 folder; set TRIBUTARY_DATA to the folder that holds it";
  const test::SharedFolder folder(comm);
  const BuildResult result = build_shards(comm, shipped("physionet2012"), *source, folder.path() / "out", {});
  EXPECT_EQ(result.catalogue.total_rows(), 4000);
  EXPECT_EQ(result.report.counts.at("table set: rows"), 1674892);
  EXPECT_EQ(result.report.bad_total(), 0);
  const std::string alone =
      comm.size() == 1 ? result.catalogue.content_digest : digest_alone(comm, shipped("physionet2012"), *source, folder.path() / "alone", {});
  EXPECT_EQ(result.catalogue.content_digest, alone);
  if (comm.rank() != 0) return;
  const test::DataSet set = test::read_data_set(folder.path() / "out");
  EXPECT_EQ(count_label(set, "mortality", "died"), (std::pair<std::int64_t, std::int64_t>{554, 4000}));
  EXPECT_EQ(count_label(set, "length_of_stay", "below 6 d").second, 3940);
}

}  // namespace
}  // namespace tributary
