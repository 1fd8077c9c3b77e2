#include "batches/collator.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "made_up_records.h"

namespace tributary {
namespace {

constexpr float unobserved = std::numeric_limits<float>::quiet_NaN();
const SpecialTokens special{0, 1, 2, 3, 4};

std::vector<RowRef> refs(const RecordBlock& block) {
  const auto shared = std::make_shared<const RecordBlock>(block);
  std::vector<RowRef> rows;
  for (std::int64_t row = 0; row < block.rows; ++row) rows.push_back({{0, row}, shared, row});
  return rows;
}

template <class Number>
std::vector<Number> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return std::vector<Number>(flat.data_ptr<Number>(), flat.data_ptr<Number>() + flat.numel());
}

// One record of one series group with two channels over five hours, the last one past its steps.
struct SmallCase {
  Schema schema{.steps = 5, .series = {{"vitals", {{"a", ""}, {"b", ""}}}}};
  Normalisation normalisation{{}, {{{10, 2, 1}, {100, 50, 1}}}};
  RecordBlock block;
  SmallCase() {
    block.rows = 1;
    block.presence = {has_series};
    block.steps = {4};
    block.series = {{{unobserved, 100, 14, unobserved, unobserved, unobserved, 1000, 50, 12, 200}, {0, 1, 1, 0, 0, 0, 1, 1, 1, 1}}};
  }
};

TEST(Collator, normalises_clips_carries_forward_and_counts_hours_since_the_last_measurement) {
  const SmallCase small;
  DataConfig config;
  const Batch batch = Collator(small.schema, small.normalisation, special, config).collate(refs(small.block));
  ASSERT_EQ(batch.series.size(), 1U);
  EXPECT_THAT(values<float>(batch.series[0].value), testing::ElementsAre(0, 0, 2, 0, 2, 0, 8, -1, 0, 0));
  EXPECT_THAT(values<float>(batch.series[0].observed), testing::ElementsAre(0, 1, 1, 0, 0, 0, 1, 1, 0, 0));
  EXPECT_THAT(values<float>(batch.series[0].delta), testing::ElementsAre(1, 0, 0, 1.0F / 48, 1.0F / 48, 2.0F / 48, 0, 0, 0, 0));
  EXPECT_EQ(values<std::int64_t>(batch.steps), std::vector<std::int64_t>{4});
  config.imputation = "mean";
  config.clip = 3;
  const Batch mean = Collator(small.schema, small.normalisation, special, config).collate(refs(small.block));
  EXPECT_THAT(values<float>(mean.series[0].value), testing::ElementsAre(0, 0, 2, 0, 0, 0, 3, -1, 0, 0));
}

TEST(Collator, treats_an_absent_or_left_out_series_as_one_in_which_nothing_was_measured) {
  SmallCase small;
  const auto expect_empty = [](const Batch& batch) {
    EXPECT_THAT(values<float>(batch.series[0].value), testing::Each(0));
    EXPECT_THAT(values<float>(batch.series[0].observed), testing::Each(0));
    EXPECT_THAT(values<float>(batch.series[0].delta), testing::ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 0, 0));
    EXPECT_FALSE(values<bool>(batch.presence)[1]);
  };
  DataConfig config;
  config.leave_out = {"series"};
  expect_empty(Collator(small.schema, small.normalisation, special, config).collate(refs(small.block)));
  small.block.presence = {0};
  expect_empty(Collator(small.schema, small.normalisation, special, DataConfig{}).collate(refs(small.block)));
  small.block.presence = {has_series};
  std::fill(small.block.series[0].observed.begin(), small.block.series[0].observed.end(), std::uint8_t{0});
  Batch unmeasured = Collator(small.schema, small.normalisation, special, DataConfig{}).collate(refs(small.block));
  EXPECT_TRUE(values<bool>(unmeasured.presence)[1]);
  unmeasured.presence.zero_();
  expect_empty(unmeasured);
}

TEST(Collator, limits_the_hours_since_a_measurement_to_48) {
  Schema schema{.steps = 60, .series = {{"g", {{"a", ""}}}}};
  RecordBlock block;
  block.rows = 1;
  block.presence = {has_series};
  block.steps = {60};
  block.series = {{std::vector<float>(60, 5), std::vector<std::uint8_t>(60, 0)}};
  block.series[0].observed[3] = 1;
  const Batch batch = Collator(schema, {{}, {{{0, 1, 1}}}}, special, DataConfig{}).collate(refs(block));
  const auto delta = values<float>(batch.series[0].delta);
  ASSERT_EQ(delta.size(), 60U);
  for (int t = 0; t < 60; ++t) EXPECT_EQ(delta[static_cast<std::size_t>(t)], t < 3 ? 1.0F : static_cast<float>(std::min(t - 3, 48)) / 48) << t;
}

std::vector<std::int32_t> counted(std::int32_t count) {
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < count; ++i) ids.push_back(100 + i);
  return ids;
}

TEST(NoteWindows, cut_a_long_note_into_overlapping_windows_and_take_each_token_from_the_middle) {
  const auto ids = counted(11);
  const std::vector<std::uint8_t> marks = {3, 0, 1, 0, 0, 2, 0, 0, 0, 0, 1};
  // Bodies of 6 tokens every 4: [0, 6) [4, 10) [8, 11).
  const NoteTensors notes = make_note_tensors({{ids.data(), marks.data(), 11, 3, 7}, {ids.data(), marks.data(), 1, 4, 0}}, {8, 4}, special);
  EXPECT_EQ(notes.window_ids.sizes(), (std::vector<std::int64_t>{4, 8}));
  EXPECT_THAT(values<std::int64_t>(notes.window_ids), testing::ElementsAre(2, 100, 101, 102, 103, 104, 105, 3, 2, 104, 105, 106, 107, 108, 109, 3, 2, 108, 109,
                                                                           110, 3, 0, 0, 0, 2, 100, 3, 0, 0, 0, 0, 0));
  EXPECT_THAT(values<std::int64_t>(notes.window_lengths), testing::ElementsAre(8, 8, 5, 3));
  // Token 4: one from the edge in window 0, on the edge of window 1. Token 5: the other way round. Token 8: one from the edge in window 1, on it in window 2.
  // Token 9: on the edge of window 1, one from both in window 2.
  EXPECT_THAT(values<std::int64_t>(notes.token_position), testing::ElementsAre(1, 2, 3, 4, 5, 10, 11, 12, 13, 18, 19, 25));
  EXPECT_THAT(values<std::int64_t>(notes.token_sentence), testing::ElementsAre(0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4));
  EXPECT_THAT(values<std::int64_t>(notes.sentence_paragraph), testing::ElementsAre(0, 0, 1, 1, 2));
  EXPECT_THAT(values<std::int64_t>(notes.paragraph_document), testing::ElementsAre(0, 0, 1));
  EXPECT_THAT(values<std::int64_t>(notes.document_record), testing::ElementsAre(3, 4));
  EXPECT_THAT(values<std::int64_t>(notes.document_hour), testing::ElementsAre(7, 0));
}

TEST(NoteWindows, give_every_token_the_best_window_that_holds_it) {
  int compared = 0;
  for (std::int64_t tokens : {1, 5, 6, 7, 13, 40, 97}) {
    for (const WindowShape shape : {WindowShape{8, 6}, WindowShape{8, 1}, WindowShape{12, 3}, WindowShape{64, 48}}) {
      const auto ids = counted(static_cast<std::int32_t>(tokens));
      const std::vector<std::uint8_t> marks(ids.size(), 0);
      const NoteTensors notes = make_note_tensors({{ids.data(), marks.data(), tokens, 0, 0}}, shape, special);
      const auto windows = values<std::int64_t>(notes.window_ids), lengths = values<std::int64_t>(notes.window_lengths);
      const auto positions = values<std::int64_t>(notes.token_position);
      const std::int64_t length = notes.window_ids.size(1);
      ASSERT_EQ(static_cast<std::int64_t>(positions.size()), tokens);
      for (std::int64_t token = 0; token < tokens; ++token) {
        std::int64_t best = -1, place = -1;
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(windows.size()); ++i) {
          if (windows[static_cast<std::size_t>(i)] != 100 + token) continue;
          const std::int64_t column = i % length, real = lengths[static_cast<std::size_t>(i / length)];
          if (const std::int64_t distance = std::min(column - 1, real - 2 - column); distance > best) best = distance, place = i;
        }
        ASSERT_EQ(positions[static_cast<std::size_t>(token)], place) << tokens << " tokens, window " << shape.tokens << ", stride " << shape.stride;
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 4 * 169);
}

TEST(Collator, keeps_the_last_notes_and_their_first_tokens_and_moves_late_hours_into_the_record) {
  Schema schema{.steps = 6, .notes = true};
  RecordBlock block;
  block.rows = 2;
  block.presence = {has_notes, has_notes};
  block.steps = {3, 0};
  block.notes.note_offsets = {0, 4, 5};
  block.notes.hour = {0, 1, 2, 5, 4};
  block.notes.token_offsets = {0, 2, 5, 5, 8, 9};
  block.notes.token_ids = {50, 51, 60, 61, 62, 70, 71, 72, 80};
  block.notes.token_marks = {3, 0, 3, 0, 0, 3, 0, 0, 3};
  DataConfig config;
  config.notes_per_record = 3;
  config.tokens_per_note = 2;
  const Batch batch = Collator(schema, {}, special, config).collate(refs(block));
  // Of record 0 the last three: 60 61, an empty one, 70 71 at hour 5, past the record's three hours.
  EXPECT_THAT(values<std::int64_t>(batch.notes.window_ids), testing::ElementsAre(2, 60, 61, 3, 2, 70, 71, 3, 2, 80, 3, 0));
  EXPECT_THAT(values<std::int64_t>(batch.notes.document_record), testing::ElementsAre(0, 0, 1));
  EXPECT_THAT(values<std::int64_t>(batch.notes.document_hour), testing::ElementsAre(1, 2, 0));
  EXPECT_EQ(batch.notes.documents(), 3);
  config.leave_out = {"notes"};
  const Batch without = Collator(schema, {}, special, config).collate(refs(block));
  EXPECT_EQ(without.notes.documents(), 0);
  EXPECT_TRUE(without.notes.window_ids.defined());
  EXPECT_THAT(values<bool>(without.presence), testing::Each(false));
  EXPECT_FALSE(fields_to_read(schema, config).tokens);
  EXPECT_TRUE(fields_to_read(schema, DataConfig{}).tokens);
}

// The same by the definition, cell by cell, without the tricks of the real one.
void expect_series_by_definition(const Batch& batch, const RecordBlock& block, const DataConfig& config, int& compared) {
  const Schema schema = made_up_schema();
  const Normalisation normalisation = made_up_normalisation();
  const bool left_out = std::find(config.leave_out.begin(), config.leave_out.end(), "series") != config.leave_out.end();
  for (std::size_t g = 0; g < schema.series.size(); ++g) {
    const auto channels = static_cast<std::int64_t>(schema.series[g].channels.size());
    for (std::int64_t b = 0; b < block.rows; ++b) {
      const bool present = (block.presence[static_cast<std::size_t>(b)] & has_series) != 0 && !left_out;
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t t = 0; t < schema.steps; ++t) {
          float value = 0, observed = 0, delta = t < block.steps[static_cast<std::size_t>(b)] ? 1 : 0;
          if (present && t < block.steps[static_cast<std::size_t>(b)]) {
            for (std::int64_t past = t; past >= 0; --past) {
              const auto cell = static_cast<std::size_t>((b * schema.steps + past) * channels + c);
              if (block.series[g].observed[cell] == 0) continue;
              const ChannelStatistics& s = normalisation.series[g][static_cast<std::size_t>(c)];
              const double x = std::clamp((static_cast<double>(block.series[g].values[cell]) - s.mean) * (1 / s.deviation), -config.clip, config.clip);
              if (past == t || config.imputation == "carry_forward") value = static_cast<float>(x);
              observed = past == t ? 1 : 0;
              delta = std::min(static_cast<float>(t - past), 48.0F) / 48;
              break;
            }
          }
          ASSERT_EQ(batch.series[g].value[b][t][c].item<float>(), value);
          ASSERT_EQ(batch.series[g].observed[b][t][c].item<float>(), observed);
          ASSERT_EQ(batch.series[g].delta[b][t][c].item<float>(), delta);
          compared += observed != 0;
        }
      }
    }
  }
}

TEST(Collator, equals_the_definition_on_random_records) {
  MadeUpRecords source({40}, 8);
  const RecordBlock block = source.read(0, 0, 40);
  int compared = 0, statics = 0, labels = 0;
  for (const char* imputation : {"carry_forward", "mean"}) {
    DataConfig config;
    config.imputation = imputation;
    const Schema schema = made_up_schema();
    const Normalisation normalisation = made_up_normalisation();
    const Batch batch = Collator(schema, normalisation, special, config).collate(refs(block));
    expect_series_by_definition(batch, block, config, compared);
    for (std::int64_t b = 0; b < block.rows; ++b) {
      const auto row = static_cast<std::size_t>(b);
      for (std::int64_t s = 0; s < 3; ++s) {
        const bool seen = (block.presence[row] & has_static) != 0 && block.static_observed[row * 3 + static_cast<std::size_t>(s)] != 0;
        const ChannelStatistics& scale = normalisation.statics[static_cast<std::size_t>(s)];
        const double x =
            seen ? std::clamp((static_cast<double>(block.static_values[row * 3 + static_cast<std::size_t>(s)]) - scale.mean) / scale.deviation, -8.0, 8.0) : 0;
        ASSERT_NEAR(batch.static_value[b][s].item<float>(), x, 1e-6);
        ASSERT_EQ(batch.static_observed[b][s].item<float>(), seen ? 1 : 0);
        statics += seen;
      }
      const bool image = (block.presence[row] & has_image) != 0;
      for (std::int64_t i = 0; i < 6; ++i) {
        ASSERT_EQ(batch.image[b].flatten()[i].item<float>(), image ? static_cast<float>(block.images[row * 6 + static_cast<std::size_t>(i)]) / 255 : 0.0F);
      }
      for (std::size_t t = 0; t < 3; ++t) {
        ASSERT_EQ(batch.labels[t].valid[b].item<bool>(), block.labels[t].valid[row] != 0);
        const std::int64_t width = schema.tasks[t].label_width();
        for (std::int64_t w = 0; w < width; ++w) {
          ASSERT_EQ(batch.labels[t].value[b][w].item<float>(), block.labels[t].values[row * static_cast<std::size_t>(width) + static_cast<std::size_t>(w)]);
          labels += block.labels[t].valid[row];
        }
      }
    }
    EXPECT_GT(batch.notes.documents(), 5);
  }
  EXPECT_GT(compared, 200);
  EXPECT_GT(statics, 50);
  EXPECT_GT(labels, 100);
}

TEST(Collator, gives_a_record_the_same_values_alone_and_beside_others) {
  MadeUpRecords source({24}, 8);
  const auto rows = refs(source.read(0, 0, 24));
  const Collator collator(made_up_schema(), made_up_normalisation(), special, DataConfig{});
  const Batch together = collator.collate(rows);
  for (std::int64_t b = 0; b < 24; ++b) {
    const Batch alone = collator.collate({rows[static_cast<std::size_t>(b)]});
    for (std::size_t g = 0; g < 2; ++g) {
      EXPECT_TRUE(at::equal(alone.series[g].value[0], together.series[g].value[b]));
      EXPECT_TRUE(at::equal(alone.series[g].delta[0], together.series[g].delta[b]));
    }
    EXPECT_TRUE(at::equal(alone.static_value[0], together.static_value[b]));
    EXPECT_EQ(alone.places[0], together.places[static_cast<std::size_t>(b)]);
  }
  const Batch wide = to_type(together, at::kDouble);
  EXPECT_EQ(wide.series[0].value.scalar_type(), at::kDouble);
  EXPECT_EQ(wide.labels[0].value.scalar_type(), at::kDouble);
  EXPECT_EQ(wide.image.scalar_type(), at::kDouble);
  EXPECT_EQ(wide.steps.scalar_type(), at::kLong);
  EXPECT_EQ(together.series[0].value.scalar_type(), at::kFloat);
}

TEST(Collator, leaves_out_what_was_not_read_and_still_says_what_the_record_has) {
  MadeUpRecords source({24}, 8);
  RecordBlock block = source.read(0, 0, 24);
  const Batch all = Collator(made_up_schema(), made_up_normalisation(), special, DataConfig{}).collate(refs(block));
  FieldSelection read;
  read.images = read.statics = false;
  block.images.clear();
  block.static_values.clear();
  block.static_observed.clear();
  const Batch batch = Collator(made_up_schema(), made_up_normalisation(), special, DataConfig{}, read).collate(refs(block));
  EXPECT_TRUE(all.image.defined());
  EXPECT_FALSE(batch.image.defined());
  EXPECT_FALSE(to_type(batch, at::kDouble).image.defined());
  EXPECT_GT(all.static_observed.sum().item<float>(), 0);
  EXPECT_EQ(batch.static_observed.sizes(), all.static_observed.sizes());
  EXPECT_EQ(batch.static_observed.sum().item<float>(), 0);
  EXPECT_TRUE(at::equal(batch.presence, all.presence));
  EXPECT_TRUE(at::equal(batch.series[1].value, all.series[1].value));
}

TEST(Collator, refuses_what_cannot_work_and_names_the_key_or_the_column) {
  const SmallCase small;
  const auto message = [&](const DataConfig& config, const RecordBlock& block) -> std::string {
    try {
      (void)Collator(small.schema, small.normalisation, special, config).collate(refs(block));
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + " " + error.what();
    }
    return "nothing thrown";
  };
  DataConfig config;
  config.leave_out = {"text"};
  EXPECT_THAT(message(config, small.block), testing::AllOf(testing::StartsWith("64"), testing::HasSubstr("found \"text\"")));
  config = {};
  config.window_stride = 511;
  EXPECT_THAT(message(config, small.block), testing::AllOf(testing::StartsWith("64"), testing::HasSubstr("data.window_stride = 511")));
  RecordBlock block = small.block;
  block.series[0].values.pop_back();
  EXPECT_THAT(message({}, block), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr("'vitals' has 9 values")));
  block = small.block;
  block.steps = {6};
  EXPECT_THAT(message({}, block), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr("6 valid hours")));
}

}  // namespace
}  // namespace tributary
