#include "ingest/synth.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <type_traits>

#include "base/digest.h"
#include "base/error.h"
#include "ingest/split.h"

namespace tributary {
namespace {

SynthOptions small_synth(std::int64_t records = 200) {
  SynthOptions options;
  options.records = records;
  options.parts = 3;
  options.images = 0.5;
  return options;
}

std::int64_t total(const std::array<std::int64_t, split_count>& rows) { return rows[0] + rows[1] + rows[2]; }

RecordBlock all_of(SynthSource& source, int part) { return source.records(part, 0, total(source.part_rows()[static_cast<std::size_t>(part)])); }

// Every column of a block with its name, so that tests compare all of them.
template <class Visit>
void for_each_column(const RecordBlock& block, const Visit& visit) {
  visit("patient", block.patient);
  visit("split", block.split);
  visit("presence", block.presence);
  visit("steps", block.steps);
  visit("static_values", block.static_values);
  visit("static_observed", block.static_observed);
  for (const SeriesColumns& series : block.series) {
    visit("series.values", series.values);
    visit("series.observed", series.observed);
  }
  visit("note_offsets", block.notes.note_offsets);
  visit("hour", block.notes.hour);
  visit("text_offsets", block.notes.text_offsets);
  visit("text", block.notes.text);
  visit("token_offsets", block.notes.token_offsets);
  visit("token_ids", block.notes.token_ids);
  visit("token_marks", block.notes.token_marks);
  visit("images", block.images);
  for (const LabelColumns& labels : block.labels) {
    visit("labels.values", labels.values);
    visit("labels.valid", labels.valid);
  }
}

std::map<std::string, std::string> digests(const RecordBlock& block) {
  std::map<std::string, std::string> result;
  std::string ids;
  for (const std::string& id : block.ids) ids += id + "\n";
  result["ids"] = sha256_hex(ids);
  int number = 0;
  for_each_column(block, [&](const char* name, const auto& column) {
    result[std::string(name) + std::to_string(number++)] =
        hex(Sha256().update(column.data(), column.size() * sizeof(typename std::decay_t<decltype(column)>::value_type)).finish());
  });
  return result;
}

TEST(Synth, is_a_pure_function_of_its_options) {
  SynthSource first(small_synth()), second(small_synth());
  const RecordBlock later = second.records(2, 3, 4);  // asked for in another order
  EXPECT_EQ(digests(first.records(1, 0, 20)), digests(second.records(1, 0, 20)));
  EXPECT_EQ(digests(first.records(2, 3, 4)), digests(later));
  SynthOptions other = small_synth();
  other.seed = 2;
  const auto ours = digests(first.records(1, 0, 20)), theirs = digests(SynthSource(other).records(1, 0, 20));
  EXPECT_NE(ours.at("static_values4"), theirs.at("static_values4"));
  EXPECT_NE(first.origin(), SynthSource(other).origin());
}

TEST(Synth, gives_a_slice_equal_to_the_same_rows_of_a_longer_block) {
  SynthSource source(small_synth());
  const RecordBlock whole = source.records(1, 0, 20), slice = source.records(1, 5, 3);
  const std::int64_t first_note = whole.notes.note_offsets[5], notes = whole.notes.note_offsets[8] - first_note;
  ASSERT_EQ(notes, 9);
  int compared = 0;
  std::vector<std::pair<const char*, std::string>> parts;  // bytes of each column whose size follows from the rows alone
  for_each_column(slice, [&](const char* name, const auto& column) {
    parts.emplace_back(name, std::string(reinterpret_cast<const char*>(column.data()), column.size() * sizeof(column[0])));
  });
  std::size_t number = 0;
  for_each_column(whole, [&](const char* name, const auto& column) {
    const auto& [slice_name, bytes] = parts[number++];
    ASSERT_STREQ(name, slice_name);
    std::size_t from = 0;
    if (std::string_view(name).ends_with("offsets")) return;
    if (std::string_view(name) == "hour")
      from = static_cast<std::size_t>(first_note);
    else if (std::string_view(name) == "text")
      from = static_cast<std::size_t>(whole.notes.text_offsets[static_cast<std::size_t>(first_note)]);
    else if (std::string_view(name).starts_with("token"))
      from = static_cast<std::size_t>(whole.notes.token_offsets[static_cast<std::size_t>(first_note)]);
    else
      from = column.size() / 20 * 5;
    const std::string_view expected(reinterpret_cast<const char*>(column.data() + from), std::min(bytes.size(), (column.size() - from) * sizeof(column[0])));
    EXPECT_EQ(bytes, expected) << name;
    compared += !bytes.empty();
  });
  EXPECT_GE(compared, 24);
  EXPECT_TRUE(std::equal(slice.ids.begin(), slice.ids.end(), whole.ids.begin() + 5));
}

TEST(Synth, gives_every_record_once_ordered_by_split_patient_and_id) {
  SynthSource source(small_synth(1000));
  std::set<std::string> ids;
  std::set<std::uint64_t> patients;
  for (int part = 0; part < 3; ++part) {
    const RecordBlock block = all_of(source, part);
    RowOrder last;
    std::array<std::int64_t, split_count> rows{};
    for (std::size_t i = 0; i < block.ids.size(); ++i) {
      const RowOrder here{static_cast<Split>(block.split[i]), block.patient[i], block.ids[i]};
      ASSERT_LT(last, here);
      ASSERT_EQ(here.split, split_of(block.patient[i], ""));
      ASSERT_EQ(part_of(block.patient[i], 3), part);
      last = here;
      ids.insert(block.ids[i]);
      patients.insert(block.patient[i]);
      ++rows[block.split[i]];
    }
    EXPECT_EQ(rows, source.part_rows()[static_cast<std::size_t>(part)]);
  }
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_NEAR(1000.0 / static_cast<double>(patients.size()), 1.2, 0.01);
}

TEST(Synth, splits_by_the_salt_and_deals_8192_records_to_a_part_by_default) {
  SynthOptions options;
  options.records = 20000;
  options.steps = 1;
  options.notes_per_record = 0;
  const auto rows = SynthSource(options).part_rows();
  ASSERT_EQ(rows.size(), 3U);
  std::array<double, split_count> counts{};
  for (const auto& part : rows)
    for (std::size_t s = 0; s < counts.size(); ++s) counts[s] += static_cast<double>(part[s]);
  EXPECT_NEAR(counts[0] / 20000, 0.7, 0.015);
  EXPECT_NEAR(counts[1] / 20000, 0.1, 0.01);
  EXPECT_NEAR(counts[2] / 20000, 0.2, 0.015);
  options.salt = "another";
  EXPECT_NE(SynthSource(options).part_rows(), rows);
}

TEST(Synth, gives_the_tokens_that_the_tokenizer_gives_for_the_text) {
  SynthOptions options = small_synth(60);
  options.note_words = 200;
  SynthSource source(options);
  std::size_t compared = 0, cut = 0;
  for (int part = 0; part < 3; ++part) {
    const RecordBlock block = all_of(source, part);
    const NoteColumns& notes = block.notes;
    for (std::size_t k = 0; k < notes.hour.size(); ++k) {
      const auto from = static_cast<std::size_t>(notes.text_offsets[k]), to = static_cast<std::size_t>(notes.text_offsets[k + 1]);
      const Encoding expected = source.tokenizer().encode(std::string_view(notes.text).substr(from, to - from));
      const auto first = notes.token_offsets[k], last = notes.token_offsets[k + 1];
      ASSERT_EQ(expected.ids, std::vector(notes.token_ids.begin() + first, notes.token_ids.begin() + last));
      ASSERT_EQ(expected.marks, std::vector(notes.token_marks.begin() + first, notes.token_marks.begin() + last));
      ASSERT_EQ(std::count(expected.ids.begin(), expected.ids.end(), source.tokenizer().special().unknown), 0);
      compared += expected.ids.size();
      for (const std::int32_t id : expected.ids) cut += source.tokenizer().vocabulary()[static_cast<std::size_t>(id)].starts_with("##");
    }
  }
  EXPECT_GT(compared, 30000U);
  EXPECT_GT(cut, 100U);
}

TEST(Synth, writes_notes_of_about_the_words_asked_for_at_ascending_hours) {
  for (const std::int64_t wanted : {20, 60, 250}) {
    SynthOptions options = small_synth(400);
    options.parts = 1;
    options.note_words = wanted;
    SynthSource source(options);
    const RecordBlock block = all_of(source, 0);
    ASSERT_EQ(block.notes.hour.size(), 1200U);
    double words = 1200;  // one more than spaces and paragraph breaks
    for (std::size_t i = 0; i < block.notes.text.size(); ++i)
      words += block.notes.text[i] == ' ' || (block.notes.text[i] == '\n' && block.notes.text[i - 1] == '\n');
    EXPECT_NEAR(words / 1200, static_cast<double>(wanted), 0.05 * static_cast<double>(wanted) + 1.5);
    for (std::size_t r = 0; r < block.ids.size(); ++r)
      for (auto k = static_cast<std::size_t>(block.notes.note_offsets[r]); k < static_cast<std::size_t>(block.notes.note_offsets[r + 1]); ++k) {
        ASSERT_GE(block.notes.hour[k], k == static_cast<std::size_t>(block.notes.note_offsets[r]) ? 0 : block.notes.hour[k - 1]);
        ASSERT_LT(block.notes.hour[k], block.steps[r]);
      }
  }
}

TEST(Synth, leaves_out_modalities_at_the_rates_asked_for_and_keeps_the_labels) {
  SynthOptions options = small_synth(4000);
  options.parts = 1;
  options.steps = 4;
  options.note_words = 10;
  SynthSource everything(options);
  options.notes = 0.8, options.series = 0.6, options.statics = 0.3, options.images = 0.1;
  SynthSource some(options);
  const RecordBlock all = all_of(everything, 0), block = all_of(some, 0);
  std::array<double, 4> present{};
  for (std::size_t r = 0; r < 4000; ++r) {
    const std::uint8_t bits = block.presence[r];
    for (std::size_t m = 0; m < 4; ++m) present[m] += (bits >> m) & 1;
    const auto nothing = [r](const auto& column) {
      return std::all_of(column.begin() + static_cast<std::ptrdiff_t>(column.size() / 4000 * r),
                         column.begin() + static_cast<std::ptrdiff_t>(column.size() / 4000 * (r + 1)), [](auto x) { return x == 0; });
    };
    ASSERT_EQ(nothing(block.static_observed), (bits & has_static) == 0);
    ASSERT_EQ(nothing(block.series[0].observed), (bits & has_series) == 0);
    ASSERT_EQ(nothing(block.images), (bits & has_image) == 0);
    ASSERT_EQ(block.notes.note_offsets[r + 1] == block.notes.note_offsets[r], (bits & has_notes) == 0);
  }
  EXPECT_NEAR(present[0] / 4000, 0.3, 0.03);
  EXPECT_NEAR(present[1] / 4000, 0.6, 0.03);
  EXPECT_NEAR(present[2] / 4000, 0.8, 0.03);
  EXPECT_NEAR(present[3] / 4000, 0.1, 0.02);
  for (std::size_t t = 0; t < all.labels.size(); ++t) EXPECT_EQ(all.labels[t].values, block.labels[t].values);
}

TEST(Synth, lacks_in_its_schema_the_modalities_of_rate_zero) {
  SynthOptions options = small_synth(50);
  options.notes = options.series = options.statics = options.images = 0;
  SynthSource source(options);
  EXPECT_FALSE(source.schema().notes);
  EXPECT_TRUE(source.schema().statics.empty());
  EXPECT_TRUE(source.schema().series.empty());
  EXPECT_EQ(source.schema().image.size(), 0);
  EXPECT_EQ(source.records(0, 0, 2).presence, (std::vector<std::uint8_t>{0, 0}));
  SynthOptions defaults;
  defaults.records = 1;
  const Schema schema = SynthSource(defaults).schema();
  EXPECT_EQ(schema.steps, 48);
  EXPECT_EQ(schema.statics.size(), 12U);
  EXPECT_EQ(schema.series[0].channels.size() + schema.series[1].channels.size() + schema.series[2].channels.size(), 16U);
  EXPECT_TRUE(schema.notes);
  EXPECT_EQ(schema.image.size(), 0);
}

TEST(Synth, stays_in_physiologic_ranges_and_measures_the_sicker_more) {
  SynthOptions options = small_synth(1500);
  options.parts = 1;
  SynthSource source(options);
  const RecordBlock block = all_of(source, 0);
  const std::vector<std::array<float, 2>> vitals{{30, 200}, {50, 230}, {25, 130}, {35, 160}, {4, 60}, {60, 100}, {33, 42}};
  std::int64_t observed = 0;
  std::array<double, 2> lactate{}, labs{};  // mean lactate of records with few and with many blood draws
  for (std::size_t r = 0; r < 1500; ++r) {
    for (std::size_t t = 0; t < 48; ++t)
      for (std::size_t c = 0; c < 7; ++c) {
        const std::size_t cell = (r * 48 + t) * 7 + c;
        if (block.series[0].observed[cell] == 0) {
          ASSERT_EQ(block.series[0].values[cell], 0);
          continue;
        }
        ASSERT_LT(t, static_cast<std::size_t>(block.steps[r]));
        ASSERT_GE(block.series[0].values[cell], vitals[c][0]);
        ASSERT_LE(block.series[0].values[cell], vitals[c][1]);
        ++observed;
      }
    double sum = 0, count = 0;
    for (std::size_t t = 0; t < 48; ++t) {
      sum += static_cast<double>(block.series[1].values[(r * 48 + t) * 6]);
      count += block.series[1].observed[(r * 48 + t) * 6];
    }
    const std::size_t often = count >= 5 ? 1 : 0;
    lactate[often] += sum, labs[often] += count;
  }
  EXPECT_GT(observed, 1500 * 48 * 7 / 2);
  EXPECT_GT(lactate[1] / labs[1], lactate[0] / labs[0] + 0.3);
}

TEST(Synth, gives_labels_inside_their_maps_and_misses_some) {
  SynthSource source(small_synth(2000));
  const Schema& schema = source.schema();
  const RecordBlock block = all_of(source, 0);
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const Task& task = schema.tasks[t];
    const LabelColumns& labels = block.labels[t];
    const auto width = static_cast<std::size_t>(task.label_width());
    ASSERT_EQ(labels.values.size(), block.ids.size() * width);
    std::set<float> seen;
    std::int64_t missing = 0;
    for (std::size_t i = 0; i < labels.values.size(); ++i) {
      if (labels.valid[i / width] != 0)
        seen.insert(labels.values[i]);
      else
        ASSERT_EQ(labels.values[i], 0);
      missing += labels.valid[i / width] == 0;
    }
    const auto classes = task.kind == TaskKind::multiclass ? static_cast<float>(task.classes.size()) : 2.0F;
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(classes)) << task.name;
    EXPECT_EQ(*seen.rbegin(), classes - 1) << task.name;
    EXPECT_GT(missing, 0) << task.name;
    EXPECT_LT(missing, static_cast<std::int64_t>(labels.values.size()) / 6) << task.name;
  }
}

TEST(Synth, keeps_patient_features_equal_over_the_records_of_a_patient) {
  SynthOptions options = small_synth(600);
  options.parts = 1;
  SynthSource source(options);
  const RecordBlock block = all_of(source, 0);
  int compared = 0;
  for (std::size_t r = 1; r < block.ids.size(); ++r) {
    if (block.patient[r] != block.patient[r - 1]) continue;
    EXPECT_EQ(block.static_values[r * 12 + 1], block.static_values[(r - 1) * 12 + 1]);
    ++compared;
  }
  EXPECT_EQ(compared, 100);
}

// Changes of this value change every data set ever made: raise generator_version with it.
TEST(Synth, has_frozen_bytes) {
  SynthSource source(small_synth());
  const RecordBlock block = source.records(0, 0, 40);
  std::string together;
  for (const auto& [name, digest] : digests(block)) together += name + " " + digest + "\n";
  EXPECT_EQ(sha256_hex(together), "94da3607f59ed407a53a4d5deeed2c86769a5ac20ef7df5d4dd6220c35d44c04");
}

TEST(Synth, refuses_options_out_of_range_by_name) {
  const auto refuses = [](auto change, const char* name) {
    SynthOptions options = small_synth();
    change(options);
    EXPECT_THAT([&] { SynthSource source(options); }, testing::ThrowsMessage<Error>(testing::HasSubstr(name)));
  };
  refuses([](SynthOptions& o) { o.records = 0; }, "--records");
  refuses([](SynthOptions& o) { o.notes = 1.5; }, "--notes");
  refuses([](SynthOptions& o) { o.steps = 0; }, "--steps");
  refuses([](SynthOptions& o) { o.parts = -1; }, "--parts");
}

}  // namespace
}  // namespace tributary
