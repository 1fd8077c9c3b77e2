#include "ingest/pubtator.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/files.h"
#include "ingest/source_files.h"
#include "support/folder.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string recipe_text = R"(name = "small"
[split]
salt = "1"
validation = 0.25
[splits]
train = ["a*.txt", "b.txt"]
test = ["c.txt"]
[pubtator]
types = ["drug", "disease"]
separators = ["|"]
no_id = ["-1"]
[[task]]
name = "causes"
kind = "relation"
directed = true
candidates = [["drug", "disease"]]
categories = [["causes", "CID", "Induces"]]
[[task]]
name = "related"
kind = "relation"
directed = false
candidates = [["drug", "drug"], ["disease", "drug"]]
categories = [["binds", "Bind"], ["any", "Assoc*"]]
)";

struct PubtatorReading {
  std::vector<PubtatorDocument> documents;
  std::vector<std::string> bad, documents_of_bad, left_out;
  std::int64_t replaced = 0;
};

PubtatorReading read_pubtator(const std::string& text, const std::string& recipe = recipe_text) {
  const test::Folder folder;
  write_file(folder.path() / "file", text);
  PubtatorReading reading;
  read_pubtator(folder.path() / "file", parse_recipe(recipe, "small.toml"),
                {[&](const PubtatorDocument& document) { reading.documents.push_back(document); },
                 [&](std::int64_t line, std::string_view document, std::string_view reason) {
                   reading.bad.push_back(std::to_string(line) + ": " + std::string(reason));
                   reading.documents_of_bad.emplace_back(document);
                 },
                 [&](std::string_view what) { reading.left_out.emplace_back(what); }, [&](std::int64_t bytes) { reading.replaced += bytes; }});
  return reading;
}

std::vector<std::array<std::int64_t, 4>> mentions_of(const PubtatorDocument& document) {  // begin, end, type, concept
  std::vector<std::array<std::int64_t, 4>> list;
  for (const RecordMention& m : document.content.entities.mentions) list.push_back({m.begin, m.end, m.type, m.concept_number});
  return list;
}

std::vector<std::array<std::int64_t, 5>> relations_of(const PubtatorDocument& document) {  // task, head, tail, class, novelty
  std::vector<std::array<std::int64_t, 5>> list;
  for (const RecordRelation& r : document.content.entities.relations) list.push_back({r.task, r.head, r.tail, r.label, static_cast<std::int64_t>(r.novelty)});
  return list;
}

using Mention = std::array<std::int64_t, 4>;
using Relation = std::array<std::int64_t, 5>;

TEST(Pubtator, documents_have_text_mentions_in_bytes_and_concepts_in_order_of_mention) {
  // "β-x" and "naïve" have characters of two bytes; the abstract begins at character 12.
  const PubtatorReading reading = read_pubtator(
      "7|t|\xce\xb2-x for flu\r\n7|a|na\xc3\xafve flu or gout\r\n7\t18\t21\tflu\tdisease\tD1\r\n7\t0\t3\t\xce\xb2-x\tdrug\tC9\r\n"
      "7\t25\t29\tgout\tdisease\tD2|D1\tparts\r\n7\t8\t11\tflu\tdisease\t-1\r\n7\tCID\tC9\tD2\r\n\r\n8|t|empty hands\r\n8|a|\r\n");
  EXPECT_THAT(reading.bad, IsEmpty());
  ASSERT_EQ(reading.documents.size(), 2U);
  const PubtatorDocument& one = reading.documents[0];
  EXPECT_EQ(one.id, "7");
  EXPECT_EQ(one.line, 1);
  EXPECT_EQ(one.content.text, "\xce\xb2-x for flu\nna\xc3\xafve flu or gout");
  EXPECT_THAT(mentions_of(one), ElementsAre(Mention{0, 4, 0, 0}, Mention{9, 12, 1, -1}, Mention{20, 23, 1, 1}, Mention{27, 31, 1, 1}, Mention{27, 31, 1, 2}));
  EXPECT_EQ(one.content.entities.concepts.size(), 3U);
  EXPECT_EQ(one.content.entities.concepts[2].id, "D2");
  EXPECT_THAT(relations_of(one), ElementsAre(Relation{0, 0, 2, 1, 0}));
  EXPECT_EQ(reading.documents[1].content.text, "empty hands\n");
  EXPECT_EQ(reading.documents[1].line, 9);
  const AnnotatedText copy = annotated_text_from(to_bytes(one.content));
  EXPECT_EQ(copy.text, one.content.text);
  EXPECT_EQ(mentions_of({"7", 1, copy}), mentions_of(one));
  EXPECT_EQ(relations_of({"7", 1, copy}), relations_of(one));
}

TEST(Pubtator, relations_take_the_class_direction_and_novelty_that_the_recipe_and_the_line_say) {
  const std::string start = "1|t|aa bb cc dd\n1|a|.\n1\t0\t2\taa\tdrug\tA\n1\t3\t5\tbb\tdrug\tB\n1\t6\t8\tcc\tdisease\tC\n1\t9\t11\tdd\tdisease\tD\n";
  const PubtatorReading reading = read_pubtator(start + "1\tInduces\tB\tC\tNovel\n1\tBind\tB\tA\tNo\n1\tAssociation\tA\tD\n");
  EXPECT_THAT(reading.bad, IsEmpty());
  EXPECT_THAT(reading.left_out, IsEmpty());
  // B binds A: the same type, so the lower number stands first; of A and D the task takes (disease, drug).
  EXPECT_THAT(relations_of(reading.documents.at(0)), ElementsAre(Relation{0, 1, 2, 1, 2}, Relation{1, 0, 1, 1, 1}, Relation{1, 3, 0, 2, 0}));
  const PubtatorReading odd = read_pubtator(start + "1\tCID\tC\tA\n1\tCID\tA\tA\n1\tEats\tA\tB\n1\tBind\tA\tB\n1\tAssoc\tB\tA\n1\tCID\tA\tX\n");
  EXPECT_THAT(odd.left_out, ElementsAre(HasSubstr("no candidates"), HasSubstr("with itself"), HasSubstr("no task names"), HasSubstr("already")));
  EXPECT_THAT(odd.bad, ElementsAre("12: a relation of a concept that no mention names"));
  EXPECT_EQ(relations_of(odd.documents.at(0)).size(), 1U);
}

TEST(Pubtator, what_is_bad_is_named_by_line_and_left_out_without_a_word_of_its_text) {
  const PubtatorReading reading = read_pubtator(
      "1|t|secret text\n1|a|more\n1\t0\t6\tpublic\tdrug\tA\n1\t12\t17\tmore?\tdrug\tA\n1\t-1\t6\tsecret\tdrug\tA\n1\t6\t6\t\tdrug\tA\n"
      "1\t0\t6\tsecret\tdrug\tA\n1\t0\t6\tsecret\tdisease\tB\n1\t7\t11\ttext\tanimal\tZ\n1\t7\n2\t0\t6\tsecret\tdrug\tA\n1\t7\t11\ttext\n1|a|again\n\n"
      "3|a|orphan\n4|t|\n4|a| \n\nno fields at all\n5|t|last\n1\t0\t4\tlast\tdrug\tA\n");
  EXPECT_THAT(
      reading.bad,
      ElementsAre("10: neither a title, an abstract, a mention nor a relation", "11: a line of another document than the title above it",
                  "12: a mention without its end, text or type", "13: a second abstract of the document", "5: a mention outside the text of its document",
                  "3: a mention that is not the text at its place", "8: a second mention at the same place", "6: a mention outside the text of its document",
                  "4: a mention outside the text of its document", "15: an abstract without the title of its document above it", "16: an empty document",
                  "19: neither a title, an abstract, a mention nor a relation", "21: a line of another document than the title above it"));
  EXPECT_THAT(reading.documents_of_bad, ElementsAre("1", "1", "1", "1", "1", "1", "1", "1", "1", "", "4", "", "5"));
  EXPECT_THAT(reading.left_out, ElementsAre("mentions of types that the recipe does not name"));
  ASSERT_EQ(reading.documents.size(), 2U);
  EXPECT_THAT(mentions_of(reading.documents[0]), ElementsAre(Mention{0, 6, 0, 0}));
  EXPECT_EQ(reading.documents[1].id, "5");
}

TEST(Pubtator, relations_of_concepts_whose_types_nobody_asked_for_are_left_out_with_their_mentions) {
  const PubtatorReading reading = read_pubtator("1|t|aspirin and mouse\n1|a|\n1\t0\t7\taspirin\tdrug\tA\n1\t12\t17\tmouse\tanimal\tZ\n1\tCID\tA\tZ\n");
  EXPECT_THAT(reading.bad, IsEmpty());
  EXPECT_THAT(reading.left_out, ElementsAre("mentions of types that the recipe does not name", "relations of concepts of types that the recipe does not name"));
}

TEST(Pubtator, text_that_is_not_utf8_is_made_so) {
  const PubtatorReading reading = read_pubtator("1|t|a \xff b\n1|a|\n1\t4\t5\tb\tdrug\tB\n");
  EXPECT_THAT(reading.bad, IsEmpty());
  EXPECT_EQ(reading.documents.at(0).content.text, "a \xef\xbf\xbd b\n");
  EXPECT_EQ(reading.replaced, 1);
  EXPECT_THAT(mentions_of(reading.documents.at(0)), ElementsAre(Mention{6, 7, 0, 0}));
}

TEST(Pubtator, files_are_given_to_splits_by_the_recipe) {
  const test::Folder folder;
  const Recipe recipe = parse_recipe(recipe_text, "small.toml");
  EXPECT_EQ(schema_of(recipe).concept_types, (std::vector<std::string>{"drug", "disease"}));
  EXPECT_EQ(schema_of(recipe).tasks[1].classes, (std::vector<std::string>{"none", "binds", "any"}));
  EXPECT_EQ(schema_of(recipe).steps, 1);
  for (const char* name : {"a1.txt", "a2.txt", "b.txt", "other"}) write_file(folder.path() / name, "x");
  const auto message = [&]() -> std::string {
    try {
      static_cast<void>(find_source_files(recipe, folder.path()));
    } catch (const Error& error) {
      return error.what();
    }
    return "found";
  };
  EXPECT_THAT(message(), HasSubstr("no file 'c.txt', which splits.test"));
  write_file(folder.path() / "c.txt", "x");
  std::vector<std::string> found;
  for (const SourceFile& file : find_source_files(recipe, folder.path())) found.push_back(std::to_string(file.table) + file.name);
  EXPECT_THAT(found, ElementsAre("0a1.txt", "0a2.txt", "0b.txt", "2c.txt"));
  std::string both = recipe_text;
  both.replace(both.find("\"c.txt\""), 7, "\"*.txt\"");
  EXPECT_THROW(static_cast<void>(find_source_files(parse_recipe(both, "small.toml"), folder.path())), Error);
}

TEST(Pubtator, recipes_that_cannot_be_are_refused_with_their_line) {
  const auto message = [](const std::string& from, const std::string& to) -> std::string {
    std::string text = recipe_text;
    text.replace(text.find(from), from.size(), to);
    try {
      static_cast<void>(parse_recipe(text, "small.toml"));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration) << error.what();
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message("salt", "salt"), "accepted");
  EXPECT_THAT(message("[[\"drug\", \"disease\"]]", "[[\"drug\", \"gene\"]]"), HasSubstr("'gene' is none of the types of concepts"));
  EXPECT_THAT(message("[[\"drug\", \"disease\"]]", "[[\"drug\"]]"), HasSubstr("'candidates' must be"));
  EXPECT_THAT(message("[[\"drug\", \"disease\"]]", "[]"), HasSubstr("has no candidates"));
  EXPECT_THAT(message("[\"disease\", \"drug\"]]", "[\"disease\", \"drug\"], [\"drug\", \"disease\"]]"), HasSubstr("twice"));
  EXPECT_THAT(message("directed = true\n", ""), HasSubstr("needs 'directed'"));
  EXPECT_THAT(message("validation = 0.25", "validation = 0.25\ntrain = 0.5"), HasSubstr("exclude each other"));
  EXPECT_THAT(message("validation = 0.25", "validation = 1"), HasSubstr("below 1"));
  EXPECT_THAT(message("test = [", "validation = ["), HasSubstr("exclude each other"));
  EXPECT_THAT(message("[splits]\ntrain = [\"a*.txt\", \"b.txt\"]\ntest = [\"c.txt\"]\n", ""), HasSubstr("[splits] must name the files"));
  EXPECT_THAT(message("types = [\"drug\", \"disease\"]", "types = []"), HasSubstr("'pubtator.types' is missing"));
  EXPECT_THAT(message("[[task]]", "[[note]]\nprefix = \"x\"\n[[task]]"), HasSubstr("'note' and [pubtator] exclude each other"));
  EXPECT_THAT(message("salt = \"1\"", "salt = \"1\"\nseparators = [\";\"]"), HasSubstr("small.toml:"));
}

}  // namespace
}  // namespace tributary
