#include "batches/masking.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "batches/collator.h"
#include "made_up_records.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> vocabulary_of(std::size_t size) {
  // Special tokens are not all at the beginning.
  std::vector<std::string> words = {"[PAD]", "a", "[UNK]", "[CLS]", "[SEP]"};
  while (words.size() < size)
    words.push_back(words.size() == 30 ? std::string("[MASK]") : words.size() == 31 ? std::string("[NOTE]") : fmt::format("w{}", words.size()));
  return words;
}

MaskingRule rule_of(double fraction = 0.15) {
  TokenizerOptions options;
  options.special_tokens.emplace_back("[NOTE]");
  return masking_rule(vocabulary_of(95), options, fraction);
}

const std::set<std::int32_t> unmasked = {0, 2, 3, 4, 30, 31};

// Tokens of all kinds, unmasked ones included.
std::vector<std::int32_t> mixed_tokens(std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(philox(derive_key(Draw::synth, {5}), i)[0] % 95));
  return ids;
}

void expect_share(std::int64_t found, std::int64_t of, double share, const char* what) {
  const double deviation = std::sqrt(static_cast<double>(of) * share * (1 - share));
  EXPECT_NEAR(static_cast<double>(found), static_cast<double>(of) * share, 5 * deviation) << what;
}

TEST(Masking, knows_the_special_tokens_of_vocabulary_and_tokenizer) {
  const MaskingRule rule = rule_of();
  EXPECT_THAT(rule.special, ElementsAre(0, 2, 3, 4, 30, 31));
  EXPECT_EQ(rule.mask, 30);
  EXPECT_EQ(rule.tokens, 95);
  const auto complaint = [](const std::vector<std::string>& vocabulary, const TokenizerOptions& options) -> std::string {
    try {
      static_cast<void>(masking_rule(vocabulary, options, 0.15));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(complaint(vocabulary_of(20), {}), HasSubstr("'[MASK]'"));
  EXPECT_THAT(complaint({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, {}), HasSubstr("all 5 tokens are special"));
  TokenizerOptions other;
  other.special_tokens.emplace_back("[NAME]");
  EXPECT_THAT(complaint(vocabulary_of(95), other), HasSubstr("'[NAME]'"));
}

TEST(Masking, chooses_hides_replaces_and_keeps_the_shares_of_the_paper) {
  const MaskingRule rule = rule_of();
  const std::vector<std::int32_t> ids = mixed_tokens(400000);
  const MaskedNote note = mask_note(rule, masking_key(TrainingDraws{3, 2}, {1, 7}), 0, ids);
  const auto ordinary = static_cast<std::int64_t>(std::count_if(ids.begin(), ids.end(), [](std::int32_t id) { return !unmasked.contains(id); }));
  const auto chosen = static_cast<std::int64_t>(note.targets.size());
  expect_share(chosen, ordinary, 0.15, "chosen");
  ASSERT_EQ(note.shown.size(), ids.size());
  std::int64_t hidden = 0, same = 0;
  std::vector<std::int64_t> drawn(95, 0);
  std::set<std::int64_t> targets(note.targets.begin(), note.targets.end());
  EXPECT_EQ(targets.size(), note.targets.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!targets.contains(static_cast<std::int64_t>(i))) {
      ASSERT_EQ(note.shown[i], ids[i]);
      continue;
    }
    ASSERT_FALSE(unmasked.contains(ids[i]));
    if (note.shown[i] == rule.mask)
      ++hidden;
    else if (note.shown[i] == ids[i])
      ++same;
    else
      ++drawn[static_cast<std::size_t>(note.shown[i])];
  }
  const std::int64_t replaced = chosen - hidden - same;
  expect_share(hidden, chosen, 0.8, "[MASK]");
  expect_share(replaced, chosen, 0.1 * 88 / 89, "another token");
  expect_share(same, chosen, 0.1 + 0.1 / 89, "kept");
  for (std::int32_t id = 0; id < 95; ++id) {
    if (unmasked.contains(id))
      EXPECT_EQ(drawn[static_cast<std::size_t>(id)], 0) << id;
    else
      expect_share(drawn[static_cast<std::size_t>(id)], replaced, 1.0 / 89, "one token");
  }
}

TEST(Masking, follows_from_seed_epoch_record_and_position_alone) {
  const MaskingRule rule = rule_of(0.3);
  const std::vector<std::int32_t> ids = mixed_tokens(500);
  const auto masked = [&](const std::optional<TrainingDraws>& draws, const RecordPlace& place) { return mask_note(rule, masking_key(draws, place), 0, ids); };
  const MaskedNote whole = masked(TrainingDraws{3, 2}, {1, 7});
  // The same tokens as several notes of the record.
  std::vector<std::int32_t> shown;
  std::vector<std::int64_t> targets;
  for (const std::size_t begin : {std::size_t{0}, std::size_t{1}, std::size_t{230}}) {
    const std::size_t end = begin == 0 ? 1 : begin == 1 ? 230 : 500;
    const MaskedNote part =
        mask_note(rule, masking_key(TrainingDraws{3, 2}, {1, 7}), static_cast<std::int64_t>(begin), std::span(ids).subspan(begin, end - begin));
    shown.insert(shown.end(), part.shown.begin(), part.shown.end());
    for (const std::int64_t place : part.targets) targets.push_back(static_cast<std::int64_t>(begin) + place);
  }
  EXPECT_EQ(shown, whole.shown);
  EXPECT_EQ(targets, whole.targets);
  EXPECT_GT(targets.size(), 100U);
  std::set<std::vector<std::int64_t>> all = {whole.targets};
  for (const TrainingDraws& draws : {TrainingDraws{3, 3}, TrainingDraws{4, 2}}) all.insert(masked(draws, {1, 7}).targets);
  for (const RecordPlace& place : {RecordPlace{1, 8}, RecordPlace{2, 7}}) all.insert(masked(TrainingDraws{3, 2}, place).targets);
  const MaskedNote evaluated = masked({}, {1, 7});
  all.insert(evaluated.targets);
  EXPECT_EQ(all.size(), 6U);
  EXPECT_EQ(masked({}, {1, 7}).shown, evaluated.shown);
}

// Records of the made-up data set through a collator of family text_mlm.
struct Masked {
  Schema schema = made_up_schema();
  DataConfig config{.window_tokens = 12, .window_stride = 7, .mask_fraction = 0.3};
  std::vector<RowRef> rows;
  Masked() {
    MadeUpRecords source({40}, 8);
    const auto block = std::make_shared<const RecordBlock>(source.read(0, 0, 40));
    for (std::int64_t row = 0; row < 40; ++row) rows.push_back({{0, row}, block, row});
    schema.tasks.push_back({"masked_tokens", TaskKind::masked_token, {}});
  }
  [[nodiscard]] Batch collate(const std::vector<RowRef>& some, const std::optional<TrainingDraws>& draws) const {
    return Collator(schema, made_up_normalisation(), {0, 1, 2, 3, 4}, config, {}, {}, masking_rule(words(), {}, config.mask_fraction)).collate(some, draws);
  }
  static std::vector<std::string> words() {
    std::vector<std::string> list = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    while (list.size() < 95) list.push_back(fmt::format("w{}", list.size()));
    return list;
  }
};

std::vector<std::int64_t> token_numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

TEST(Masking, makes_each_token_a_target_at_most_once_and_hides_it_in_all_windows) {
  const Masked masked;
  const TrainingDraws draws{3, 1};
  const Batch batch = masked.collate(masked.rows, draws);
  // What the same collator gives without masking: where each token stands, and the tokens themselves.
  const Batch plain = Collator(made_up_schema(), made_up_normalisation(), {0, 1, 2, 3, 4}, masked.config).collate(masked.rows, draws);
  EXPECT_FALSE(plain.notes.masked_position.defined());
  const std::vector<std::int64_t> before = token_numbers(plain.notes.window_ids), shown = token_numbers(batch.notes.window_ids);
  const std::vector<std::int64_t> positions = token_numbers(batch.notes.token_position), targets = token_numbers(batch.notes.masked_position);
  EXPECT_EQ(positions, token_numbers(plain.notes.token_position));
  ASSERT_GT(targets.size(), 100U);
  EXPECT_EQ(std::set(targets.begin(), targets.end()).size(), targets.size());
  std::vector<std::int64_t> ordered;  // the targets in the order of the tokens
  const std::set<std::int64_t> wanted(targets.begin(), targets.end());
  for (const std::int64_t position : positions)
    if (wanted.contains(position)) ordered.push_back(position);
  EXPECT_EQ(targets, ordered);
  const std::vector<std::int64_t> tokens = token_numbers(batch.notes.masked_token);
  for (std::size_t t = 0; t < targets.size(); ++t) EXPECT_EQ(tokens[t], before[static_cast<std::size_t>(targets[t])]);
  // Where windows overlap all copies of a token show the same: a window's place is a token of the record, whichever window it is in.
  ASSERT_GT(batch.notes.window_ids.size(0), batch.notes.documents());
  std::int64_t changed = 0, changed_places = 0;
  for (std::size_t i = 0; i < before.size(); ++i) changed_places += before[i] != shown[i];
  for (const std::int64_t place : targets) changed += before[static_cast<std::size_t>(place)] != shown[static_cast<std::size_t>(place)];
  EXPECT_GT(changed_places, changed);
  ASSERT_EQ(batch.labels.size(), 4U);
  EXPECT_EQ(token_numbers(batch.labels[3].value.squeeze(1)), tokens);
  EXPECT_EQ(batch.labels[3].valid.sum().item<std::int64_t>(), static_cast<std::int64_t>(targets.size()));
  EXPECT_EQ(token_numbers(batch.labels[0].value), token_numbers(plain.labels[0].value));
}

TEST(Masking, does_not_depend_on_the_leaf) {
  const Masked masked;
  for (const std::optional<TrainingDraws>& draws : {std::optional<TrainingDraws>({3, 1}), std::optional<TrainingDraws>()}) {
    const Batch together = masked.collate(masked.rows, draws);
    std::vector<std::int64_t> tokens, shown;
    std::size_t without = 0;
    for (const RowRef& row : masked.rows) {
      const Batch alone = masked.collate({row}, draws);
      const std::vector<std::int64_t> own = token_numbers(alone.notes.masked_token),
                                      seen = token_numbers(alone.notes.window_ids.reshape({-1}).index_select(0, alone.notes.masked_position));
      tokens.insert(tokens.end(), own.begin(), own.end());
      shown.insert(shown.end(), seen.begin(), seen.end());
      without += own.empty() ? 1 : 0;
    }
    EXPECT_GT(tokens.size(), 100U);
    EXPECT_GT(without, 3U);  // records without notes, and with so few tokens that none is chosen
    EXPECT_EQ(tokens, token_numbers(together.notes.masked_token));
    EXPECT_EQ(shown, token_numbers(together.notes.window_ids.reshape({-1}).index_select(0, together.notes.masked_position)));
  }
}

}  // namespace
}  // namespace tributary
