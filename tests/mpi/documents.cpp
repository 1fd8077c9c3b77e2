// Documents become the same data set on any number of ranks; what is bad in them is told by all, by file and line.
#include <gmock/gmock.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"
#include "ingest/build_shards.h"
#include "shards/verification.h"
#include "support/data_set_reading.h"
#include "support/shared_folder.h"

namespace tributary {
namespace {

const std::string recipe_text = R"(name = "made up"
max_bad_rows = 1
[split]
salt = "1"
validation = 0.2
[splits]
train = ["one.txt", "two.txt"]
test = ["three.txt"]
[pubtator]
types = ["drug", "disease"]
[[task]]
name = "causes"
kind = "relation"
directed = true
candidates = [["drug", "disease"]]
categories = [["causes", "CID"]]
)";

// Document i: "drug<i % 5> gives pain<i % 3> or pain<(i + 1) % 3>", the first of which it causes when i is even.
std::string documents(int first, int last) {
  std::string text;
  for (int i = first; i < last; ++i) {
    const std::string id = std::to_string(i), drug = std::to_string(i % 5), one = std::to_string(i % 3), two = std::to_string((i + 1) % 3);
    text += id + "|t|drug" + drug + " gives pain" + one + "\n" + id + "|a|or pain" + two + "\n";
    text += id + "\t0\t5\tdrug" + drug + "\tdrug\tM" + drug + "\n" + id + "\t12\t17\tpain" + one + "\tdisease\tP" + one + "\n";
    text += id + "\t21\t26\tpain" + two + "\tdisease\tP" + two + "\n";
    if (i % 2 == 0) text += id + "\tCID\tM" + drug + "\tP" + one + "\n";
    text += "\n";
  }
  return text;
}

void write_files(const Communicator& comm, const std::filesystem::path& folder, const std::string& more) {
  if (comm.rank() == 0) {
    make_directories(folder);
    write_file(folder / "one.txt", documents(0, 120));
    write_file(folder / "two.txt", documents(120, 150) + more);
    write_file(folder / "three.txt", documents(150, 200));
  }
  comm.barrier();
}

TEST(Documents, are_the_same_data_set_on_any_number_of_ranks_and_parts) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  write_files(comm, folder.path() / "source", "");
  const Recipe recipe = parse_recipe(recipe_text, "made_up.toml");
  for (const std::int64_t parts : {1, 3}) {
    BuildOptions options;
    options.parts = parts;
    const auto together = folder.path() / ("together" + std::to_string(parts)), alone = folder.path() / ("alone" + std::to_string(parts));
    const BuildResult result = build_shards(comm, recipe, folder.path() / "source", together, options);
    EXPECT_EQ(result.report.bad_total(), 0);
    EXPECT_EQ(result.report.counts.at("documents"), 200);
    const std::string own = agreed(comm, [&] {
      if (comm.rank() != 0) return std::string();
      return build_shards(Communicator::self(), recipe, folder.path() / "source", alone, options).catalogue.content_digest;
    });
    EXPECT_EQ(result.catalogue.content_digest, comm.broadcast(own, 0));
    EXPECT_EQ(result.catalogue.rows(Split::test), 50);
    EXPECT_GT(result.catalogue.rows(Split::validation), 10);
    EXPECT_EQ(result.catalogue.total_rows(), 200);
    const LabelCounts& counts = result.catalogue.label_counts.at(0);
    EXPECT_EQ(counts.valid[0] + counts.valid[1] + counts.valid[2], 400);
    EXPECT_EQ(counts.classes[1][2], 25);
    EXPECT_TRUE(verify_data_set(comm, together, result.catalogue).empty());
  }
}

TEST(Documents, keep_their_text_mentions_and_relations) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  write_files(comm, folder.path() / "source", "");
  static_cast<void>(build_shards(comm, parse_recipe(recipe_text, "made_up.toml"), folder.path() / "source", folder.path() / "out", {}));
  const test::DataSet set = test::read_data_set(folder.path() / "out");
  int checked = 0;
  for (const RecordBlock& block : set.parts)
    for (std::size_t row = 0; row < block.ids.size(); ++row) {
      const int i = std::stoi(block.ids[row]);
      const EntityColumns& e = block.entities;
      const auto first = static_cast<std::size_t>(e.mention_offsets[row]);
      ASSERT_EQ(e.mention_offsets[row + 1] - e.mention_offsets[row], 3);
      EXPECT_EQ(e.mention_begin[first + 2], 21);
      EXPECT_EQ(e.mention_concept[first + 1], 1);
      // The vocabulary is fitted on these words, so that each mention is a word of its own: drug, gives, pain, or, pain.
      EXPECT_EQ(e.mention_token[first], 0);
      EXPECT_EQ(e.mention_token[first + 1], 2);
      EXPECT_EQ(e.mention_token[first + 2], 4);
      EXPECT_EQ(e.relation_offsets[row + 1] - e.relation_offsets[row], i % 2 == 0 ? 1 : 0);
      EXPECT_EQ(block.labels[0].valid[row], 1);
      const auto text = static_cast<std::size_t>(block.notes.text_offsets[row]);
      EXPECT_EQ(block.notes.text.substr(text, 5), "drug" + std::to_string(i % 5));
      ++checked;
    }
  EXPECT_EQ(checked, 200);
}

TEST(Documents, that_are_bad_stop_the_build_on_all_ranks_above_the_number_allowed) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  write_files(comm, folder.path() / "one", "900|t|hidden word\n900|a|\n900\t0\t6\thidder\tdrug\tM1\n");
  const Recipe recipe = parse_recipe(recipe_text, "made_up.toml");
  const BuildResult result = build_shards(comm, recipe, folder.path() / "one", folder.path() / "out", {});
  EXPECT_EQ(result.catalogue.total_rows(), 201);
  EXPECT_THAT(result.report.first_bad_rows, testing::ElementsAre("two.txt:198, document 900: a mention that is not the text at its place"));
  write_files(comm, folder.path() / "two", "900|t|hidden word\n900|a|\n900\tCID\tM1\tP1\n\n901|t|\n901|a|\n");
  const auto message = [&](const std::string& source) -> std::string {
    try {
      static_cast<void>(build_shards(comm, recipe, folder.path() / source, folder.path() / "other", {}));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "built";
  };
  EXPECT_THAT(message("two"),
              testing::AllOf(testing::HasSubstr("1 x a relation of a concept that no mention names"), testing::HasSubstr("1 x an empty document"),
                             testing::HasSubstr("two.txt:198"), testing::Not(testing::HasSubstr("hidden"))));
  write_files(comm, folder.path() / "twice", documents(7, 8));
  EXPECT_THAT(message("twice"), testing::AllOf(testing::HasSubstr("two.txt:196"), testing::HasSubstr("for the second time")));
}

const std::string notes_recipe = R"(name = "notes"
[time]
hours = 1
[split]
salt = "1"
[splits]
train = ["train*"]
test = ["test*"]
[sample]
table = "notes"
patient = "ID"
[table.notes]
files = ["*.csv"]
record = "ID"
record_with_file = true
[[note]]
table = "notes"
text = "text"
as_is = true
[entities]
dictionary = "terms.tsv"
types = ["drug", "disease"]
[[task]]
name = "kind"
kind = "multilabel"
from = [{ table = "notes", value = "kinds" }]
list = "|"
fit = { separator = ">", minimum_count = 2 }
[[task]]
name = "causes"
kind = "relation"
directed = true
candidates = [["drug", "disease"]]
categories = [["causes", "CID"]]
)";

TEST(Notes, of_a_table_keep_their_lines_get_concepts_of_a_dictionary_and_several_labels) {
  const Communicator comm = Communicator::world();
  const test::SharedFolder folder(comm);
  if (comm.rank() == 0) {
    make_directories(folder.path() / "source");
    write_file(folder.path() / "source" / "train.set.csv",
               "ID,kinds,text\n0,Surgery|Consult,\"PLAN:\n\nAspirins for Gout.\"\n1,Surgery,no term\n2, Consult |Rare,\"gout, gout\"\n");
    write_file(folder.path() / "source" / "test.csv", "ID,kinds,text\n0,,aspirin\n");
    write_file(folder.path() / "source" / "terms.tsv", "aspirin\tA1\tdrug\ngout\tG1\tdisease\nplan\tP1\tother\n");
  }
  comm.barrier();
  const Recipe recipe = parse_recipe(notes_recipe, "notes.toml");
  const BuildResult result = build_shards(comm, recipe, folder.path() / "source", folder.path() / "out", {});
  EXPECT_NE(result.catalogue.origin.find(" dictionary "), std::string::npos);
  EXPECT_EQ(result.catalogue.schema.tasks[0].classes, (std::vector<std::string>{"Consult", "Surgery"}));
  const test::DataSet set = test::read_data_set(folder.path() / "out");
  const auto note = [&](const std::string& id) { return test::RecordView(set, id).notes().at(0).text; };
  EXPECT_EQ(note("train/0"), "PLAN:\n\nAspirins for Gout.");
  EXPECT_THAT(test::RecordView(set, "train/0").label("kind"), testing::UnorderedElementsAre("Surgery", "Consult"));
  EXPECT_THAT(test::RecordView(set, "train/2").label("kind"), testing::ElementsAre("Consult"));
  EXPECT_THAT(test::RecordView(set, "test/0").label("kind"), testing::ElementsAre("unknown"));
  std::map<std::string, std::string> mentions;
  for (const RecordBlock& block : set.parts) {
    const EntityColumns& e = block.entities;
    for (std::size_t row = 0; row < block.ids.size(); ++row) {
      EXPECT_EQ(block.labels[1].valid[row], 0);  // nobody has looked for relations
      EXPECT_EQ(block.split[row], block.ids[row] == "test/0" ? 2 : 0);
      for (auto m = static_cast<std::size_t>(e.mention_offsets[row]); m < static_cast<std::size_t>(e.mention_offsets[row + 1]); ++m) {
        const auto text = static_cast<std::size_t>(block.notes.text_offsets[row] + e.mention_begin[m]);
        mentions[block.ids[row]] += block.notes.text.substr(text, static_cast<std::size_t>(e.mention_end[m] - e.mention_begin[m])) + ":" +
                                    std::to_string(e.mention_concept[m]) + ":" + std::to_string(e.mention_type[m]) + " ";
      }
    }
  }
  EXPECT_EQ(mentions,
            (std::map<std::string, std::string>{{"train/0", "Aspirins:0:0 Gout:1:1 "}, {"train/2", "gout:0:1 gout:0:1 "}, {"test/0", "aspirin:0:0 "}}));
  if (comm.rank() == 0) write_file(folder.path() / "source" / "terms.tsv", "aspirin A1 drug\n");
  comm.barrier();
  try {
    static_cast<void>(build_shards(comm, recipe, folder.path() / "source", folder.path() / "other", {}));
    ADD_FAILURE() << "built with a broken dictionary";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("terms.tsv:1: expected term"));
  }
}

}  // namespace
}  // namespace tributary
