#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "shards/block_checks.h"
#include "support/random_source.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;

struct BadInput {
  std::string name;
  std::function<void(RecordBlock&)> spoil;
  std::string told;  // what the message must say
};

// Row 5 of the block is row 5 of part 0; note 0 of the block is the first note of the first record that has one.
std::vector<BadInput> bad_inputs() {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const auto observe = [](RecordBlock& b, std::size_t cell, float value) {
    b.series[0].values[cell] = value;
    b.series[0].observed[cell] = 1;
  };
  return {
      {"nan in a series", [=](RecordBlock& b) { observe(b, 5 * 18 + 1, nan); }, "series vitals 'pressure': row 5: is NaN"},
      {"infinity in a series", [=](RecordBlock& b) { observe(b, 5 * 18 + 2, infinity); }, "series vitals 'saturation': row 5: is infinite"},
      {"nan in static", [=](RecordBlock& b) { b.static_values[5 * 3 + 2] = nan; }, "static 'height': row 5"},
      {"value not observed",
       [](RecordBlock& b) {
         b.static_values[5 * 3] = 1;
         b.static_observed[5 * 3] = 0;
       },
       "static 'age': row 5: has a value although"},
      {"observed is not a bit", [](RecordBlock& b) { b.static_observed[5 * 3] = 2; }, "static 'age': row 5: observed is 2"},
      {"class outside the map",
       [](RecordBlock& b) {
         b.labels[1].values[5] = 3;
         b.labels[1].valid[5] = 1;
       },
       "labels diagnosis: row 5: is 3; outside"},
      {"fractional class",
       [](RecordBlock& b) {
         b.labels[0].values[5] = 0.5F;
         b.labels[0].valid[5] = 1;
       },
       "labels death: row 5"},
      {"negative multilabel",
       [](RecordBlock& b) {
         b.labels[2].values[5 * 4] = -1;
         b.labels[2].valid[5] = 1;
       },
       "labels orders: row 5"},
      {"nan target",
       [=](RecordBlock& b) {
         b.labels[3].values[5] = nan;
         b.labels[3].valid[5] = 1;
       },
       "labels stay: row 5: is NaN"},
      {"label without valid",
       [](RecordBlock& b) {
         b.labels[3].values[5] = 2;
         b.labels[3].valid[5] = 0;
       },
       "labels stay: row 5: has a value although"},
      {"split out of range", [](RecordBlock& b) { b.split[5] = 3; }, "split: row 5: is 3"},
      {"split out of order", [](RecordBlock& b) { b.split[5] = 1; }, "split: row 5: is validation where train"},
      {"steps too long", [](RecordBlock& b) { b.steps[5] = 7; }, "steps: row 5: is 7"},
      {"unknown presence bit", [](RecordBlock& b) { b.presence[5] = 16; }, "presence: row 5"},
      {"hour too late", [](RecordBlock& b) { b.notes.hour.back() = 6; }, "notes hour: row"},
      {"hour negative", [](RecordBlock& b) { b.notes.hour.front() = -1; }, "notes hour: row"},
      {"text not UTF-8", [](RecordBlock& b) { b.notes.text[0] = '\xff'; }, "is not UTF-8"},
      {"id not UTF-8", [](RecordBlock& b) { b.ids[5] = "\xc3("; }, "record id: row 5"},
      {"offsets descend", [](RecordBlock& b) { b.notes.text_offsets[1] = b.notes.text_offsets[2] + 1; }, "notes text offsets: row"},
      {"offsets end early", [](RecordBlock& b) { b.notes.token_offsets.back() -= 1; }, "tokens offsets: row"},
      {"offsets begin late", [](RecordBlock& b) { b.notes.note_offsets[0] = 1; }, "notes offsets: row 0: must begin with 0"},
      {"token outside the vocabulary", [](RecordBlock& b) { b.notes.token_ids[0] = 16; }, "tokens ids: row"},
      {"unknown mark", [](RecordBlock& b) { b.notes.token_marks[0] = 4; }, "tokens marks: row"},
  };
}

TEST(BlockChecks, name_part_field_and_row_of_every_bad_input) {
  const RandomSourceOptions options;
  RandomSource source(options);
  const BlockPlace place{"part-00000.h5", 0, options.part_rows[0]};
  check_block(source.schema(), source.records(0, 0, 40), place, 16);
  int caught = 0;
  for (const BadInput& bad : bad_inputs()) {
    RecordBlock block = source.records(0, 0, 40);
    bad.spoil(block);
    try {
      check_block(source.schema(), block, place, 16);
      ADD_FAILURE() << bad.name << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << bad.name;
      EXPECT_NE(std::string(error.what()).find(bad.told), std::string::npos) << bad.name << ": " << error.what();
      EXPECT_EQ(std::string(error.what()).rfind("part-00000.h5: ", 0), 0U) << error.what();
      ++caught;
    }
  }
  EXPECT_EQ(caught, 23);
}

TEST(BlockChecks, know_utf8) {
  for (const std::string good : {"", "plain", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) EXPECT_TRUE(is_utf8(good)) << good;
  for (const std::string bad : {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"}) EXPECT_FALSE(is_utf8(bad));
}

TEST(Schema, refuses_what_a_data_set_cannot_hold) {
  const Schema good = test::random_schema({});
  check_schema(good);
  const std::vector<std::function<void(Schema&)>> faults{[](Schema& s) { s.series[1].name = "vitals"; },
                                                         [](Schema& s) { s.series[0].name = "a/b"; },
                                                         [](Schema& s) { s.series[0].channels.clear(); },
                                                         [](Schema& s) { s.steps = 0; },
                                                         [](Schema& s) { s.steps = 65536; },
                                                         [](Schema& s) { s.tasks[0].name = ""; },
                                                         [](Schema& s) { s.tasks[0].classes = {"only one"}; },
                                                         [](Schema& s) {
                                                           s.tasks[1].classes = {"a", "a"};
                                                         },
                                                         [](Schema& s) { s.tasks.resize(65, s.tasks[0]); },
                                                         [](Schema& s) {
                                                           s.image = {1, 0, 4};
                                                         },
                                                         [](Schema& s) { s.statics[1].name = s.statics[0].name; },
                                                         [](Schema& s) { s.tasks[3].classes = {"x"}; }};
  for (std::size_t i = 0; i < faults.size(); ++i) {
    Schema schema = good;
    faults[i](schema);
    EXPECT_THROW(check_schema(schema), Error) << i;
  }
  EXPECT_THROW(static_cast<void>(split_named("tests")), Error);
  EXPECT_EQ(split_named("all"), std::nullopt);
  EXPECT_EQ(split_named("test"), Split::test);
}

}  // namespace
}  // namespace tributary
