#include "batches/pair_sequences.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/key.h"
#include "batches/batch_plan.h"
#include "batches/collator.h"
#include "support/random_source.h"

namespace tributary {
namespace {

using test::RandomSource;
using testing::ElementsAre;

constexpr PairMarkers markers{101, 102, 201, 202};  // H( H) T( T)
constexpr std::int64_t unlimited = 1 << 20;
const SpecialTokens pair_special{0, 1, 2, 3, 4};
constexpr std::size_t causes = 4, interacts = 5;  // the relation tasks of random_schema

std::vector<std::int32_t> text_of(std::int32_t size) {
  std::vector<std::int32_t> text(static_cast<std::size_t>(size));
  std::iota(text.begin(), text.end(), 1);
  return text;
}

std::vector<std::int32_t> mark(std::int32_t size, const std::vector<TokenSpan>& heads, const std::vector<TokenSpan>& tails, std::int64_t longest = unlimited) {
  return mark_pair(text_of(size), heads, tails, markers, longest);
}

TEST(MarkPair, puts_markers_around_every_mention_of_both_concepts) {
  EXPECT_THAT(mark(6, {{1, 3}}, {{4, 5}}), ElementsAre(1, 101, 2, 3, 102, 4, 201, 5, 202, 6));
  EXPECT_THAT(mark(4, {{2, 4}}, {{0, 1}}), ElementsAre(201, 1, 202, 2, 101, 3, 4, 102));
  EXPECT_THAT(mark(4, {{0, 1}, {3, 4}}, {{1, 3}}), ElementsAre(101, 1, 102, 201, 2, 3, 202, 101, 4, 102));
  EXPECT_THAT(mark(2, {}, {}), ElementsAre(1, 2));
  EXPECT_THAT(mark(2, {{0, 1}, {0, 1}}, {}), ElementsAre(101, 1, 102, 2));  // one place of one concept is marked once
  EXPECT_TRUE(mark(0, {}, {}).empty());
}

TEST(MarkPair, nests_mentions_at_one_place_the_longer_and_the_head_outside) {
  EXPECT_THAT(mark(3, {{1, 2}}, {{1, 2}}), ElementsAre(1, 101, 201, 2, 202, 102, 3));
  EXPECT_THAT(mark(3, {{1, 2}}, {{0, 3}}), ElementsAre(201, 1, 101, 2, 102, 3, 202));
  EXPECT_THAT(mark(3, {{0, 1}, {0, 3}}, {{2, 3}}), ElementsAre(101, 101, 1, 102, 2, 201, 3, 202, 102));
  EXPECT_THAT(mark(3, {{0, 2}}, {{1, 3}}), ElementsAre(101, 1, 201, 2, 102, 3, 202));  // they overlap: each keeps its order
}

TEST(MarkPair, cuts_a_long_text_around_the_closest_mentions) {
  // The pair (6) and (8) is closer than (1) and (8); six tokens of it, three places to the left and three to the right.
  EXPECT_THAT(mark(12, {{0, 1}, {5, 6}}, {{7, 8}}, 12), ElementsAre(4, 5, 101, 6, 102, 7, 201, 8, 202, 9, 10, 11));
  // At the edges of the text the window has more of the other side.
  EXPECT_THAT(mark(12, {{0, 1}}, {{1, 2}}, 8), ElementsAre(101, 1, 102, 201, 2, 202, 3, 4));
  EXPECT_THAT(mark(12, {{11, 12}}, {{10, 11}}, 9), ElementsAre(8, 9, 10, 201, 11, 202, 101, 12, 102));
  // Equally close: the first.
  EXPECT_THAT(mark(20, {{2, 3}, {12, 13}}, {{4, 5}, {14, 15}}, 7), ElementsAre(101, 3, 102, 4, 201, 5, 202));
}

TEST(MarkPair, leaves_out_the_middle_between_mentions_that_no_window_holds) {
  EXPECT_THAT(mark(30, {{2, 3}}, {{25, 26}}, 7), ElementsAre(101, 3, 102, 4, 201, 26, 202));
  EXPECT_THAT(mark(30, {{25, 26}}, {{2, 3}}, 8), ElementsAre(201, 3, 202, 4, 25, 101, 26, 102));
  EXPECT_THAT(mark(30, {{2, 3}}, {{25, 26}}, 6), ElementsAre(101, 3, 102, 201, 26, 202));
}

TEST(MarkPair, without_a_mention_of_one_concept_keeps_the_first_of_the_other) {
  EXPECT_THAT(mark(20, {{10, 11}, {15, 16}}, {}, 6), ElementsAre(10, 101, 11, 102, 12, 13));
  EXPECT_THAT(mark(20, {}, {{18, 20}}, 6), ElementsAre(17, 18, 201, 19, 20, 202));
  EXPECT_THAT(mark(20, {}, {}, 6), ElementsAre(1, 2, 3, 4, 5, 6));
}

// Draws of mentions: any place and length, overlapping as they come.
std::vector<TokenSpan> random_spans(const Key& key, std::uint64_t& draw, std::int64_t tokens) {
  std::vector<TokenSpan> spans;
  for (auto count = static_cast<int>(4 * uniform(key, draw++)); count > 0 && tokens > 0; --count) {
    const auto begin = static_cast<std::int64_t>(uniform(key, draw++) * static_cast<double>(tokens));
    spans.push_back({begin, std::min(tokens, begin + 1 + static_cast<std::int64_t>(4 * uniform(key, draw++)))});
  }
  return spans;
}

TEST(MarkPair, of_random_mentions_is_the_text_with_as_many_markers_at_each_place_as_begin_and_end_there) {
  const Key key = derive_key(Draw::synth, {7});
  std::uint64_t draw = 0;
  int cut = 0, halves = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto tokens = static_cast<std::int32_t>(40 * uniform(key, draw++));
    std::vector<TokenSpan> heads = random_spans(key, draw, tokens), tails = random_spans(key, draw, tokens);
    const auto whole = mark(tokens, heads, tails);
    for (auto* spans : {&heads, &tails}) {
      std::sort(spans->begin(), spans->end());
      spans->erase(std::unique(spans->begin(), spans->end()), spans->end());
    }
    std::map<std::pair<std::int32_t, std::int32_t>, int> found, expected;  // (tokens before, marker) -> number
    std::int32_t before = 0;
    for (const std::int32_t token : whole) {
      if (token > 100)
        ++found[{before, token}];
      else
        ASSERT_EQ(token, ++before);
    }
    EXPECT_EQ(before, tokens);
    for (const TokenSpan& span : heads) ++expected[{span.begin, 101}], ++expected[{span.end, 102}];
    for (const TokenSpan& span : tails) ++expected[{span.begin, 201}], ++expected[{span.end, 202}];
    EXPECT_EQ(found, expected);

    const std::int64_t longest = 6 + round % 30;
    const auto part = mark(tokens, heads, tails, longest);
    ASSERT_EQ(static_cast<std::int64_t>(part.size()), std::min<std::int64_t>(longest, static_cast<std::int64_t>(whole.size())));
    if (part.size() == whole.size()) continue;
    ++cut;
    const bool window = std::search(whole.begin(), whole.end(), part.begin(), part.end()) != whole.end();
    const std::vector<std::int32_t> left(part.begin(), part.begin() + (longest + 1) / 2), right(part.begin() + (longest + 1) / 2, part.end());
    const auto first = std::search(whole.begin(), whole.end(), left.begin(), left.end());
    EXPECT_TRUE(window || (first != whole.end() && std::search(first + (longest + 1) / 2, whole.end(), right.begin(), right.end()) != whole.end()));
    halves += window ? 0 : 1;
    const auto holds = [&](std::int32_t opening, std::int32_t closing) {
      return std::any_of(part.begin(), part.end(), [&](std::int32_t token) { return token == opening || token == closing; });
    };
    EXPECT_TRUE(heads.empty() || holds(101, 102));
    EXPECT_TRUE(tails.empty() || holds(201, 202));
  }
  EXPECT_GT(cut, 500);
  EXPECT_GT(halves, 50);
}

std::vector<std::string> vocabulary_with_markers() {
  std::vector<std::string> vocabulary = test::random_vocabulary();
  vocabulary.insert(vocabulary.end(), marker_tokens().begin(), marker_tokens().end());
  return vocabulary;
}

TEST(PairMarkers, are_unused_tokens_of_the_vocabulary_or_are_refused) {
  const PairMarkers found = pair_markers(vocabulary_with_markers());
  EXPECT_EQ((std::vector<std::int32_t>{found.head_begin, found.head_end, found.tail_begin, found.tail_end}), (std::vector<std::int32_t>{16, 17, 18, 19}));
  std::vector<std::string> lacking = vocabulary_with_markers();
  lacking.erase(std::find(lacking.begin(), lacking.end(), "[unused3]"));
  EXPECT_THAT([&] { (void)pair_markers(lacking); },
              testing::ThrowsMessage<Error>(testing::AllOf(testing::HasSubstr("found no \"[unused3]\""), testing::HasSubstr("shards retokenize"))));
}

std::vector<RowRef> pair_refs(const RecordBlock& block) {
  const auto shared = std::make_shared<const RecordBlock>(block);
  std::vector<RowRef> rows;
  for (std::int64_t row = 0; row < block.rows; ++row) rows.push_back({{0, row}, shared, row});
  return rows;
}

Collator marking_collator(const DataConfig& config, std::size_t task) {
  Catalogue catalogue;
  catalogue.vocabulary = vocabulary_with_markers();
  const Normalisation normalisation{std::vector<ChannelStatistics>(3), {std::vector<ChannelStatistics>(3), std::vector<ChannelStatistics>(2)}};
  FieldSelection fields;
  fields.text = true;
  return {test::random_schema({}), normalisation, pair_special, config, fields, pair_marking(catalogue, task)};
}

std::vector<std::int64_t> pair_numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

std::vector<std::int32_t> sequence_at(const Batch& batch, std::int64_t pair) {
  const auto ids = pair_numbers(batch.notes.window_ids[pair]);
  const auto length = batch.notes.window_lengths[pair].item<std::int64_t>();
  EXPECT_EQ(ids.at(0), pair_special.cls);
  EXPECT_EQ(ids.at(static_cast<std::size_t>(length) - 1), pair_special.sep);
  EXPECT_TRUE(std::all_of(ids.begin() + length, ids.end(), [](std::int64_t id) { return id == pair_special.pad; }));
  return {ids.begin() + 1, ids.begin() + length - 1};
}

// Of each concept of a record its mentions as places of the record's tokens. A token is a word and one blank follows it.
struct Expected {
  std::vector<std::int32_t> text;
  std::map<std::int64_t, std::vector<TokenSpan>> mentions;
};

Expected expected_of(const RecordBlock& block, std::size_t row, std::int64_t tokens_per_note) {
  Expected expected;
  const EntityColumns& e = block.entities;
  const NoteColumns& n = block.notes;
  for (auto note = static_cast<std::size_t>(n.note_offsets[row]); note < static_cast<std::size_t>(n.note_offsets[row + 1]); ++note) {
    const auto first = static_cast<std::int64_t>(expected.text.size());
    const auto begin = static_cast<std::size_t>(n.token_offsets[note]), all = static_cast<std::size_t>(n.token_offsets[note + 1]) - begin;
    const std::size_t kept = tokens_per_note > 0 ? std::min(all, static_cast<std::size_t>(tokens_per_note)) : all;
    std::vector<std::int64_t> starts;
    for (std::size_t i = 0, at = 0; i < all; at += test::random_vocabulary()[static_cast<std::size_t>(n.token_ids[begin + i])].size() + 1, ++i)
      starts.push_back(static_cast<std::int64_t>(at));
    for (auto m = static_cast<std::size_t>(e.mention_offsets[row]); m < static_cast<std::size_t>(e.mention_offsets[row + 1]); ++m) {
      if (n.note_offsets[row] + e.mention_note[m] != static_cast<std::int64_t>(note) || e.mention_concept[m] < 0) continue;
      TokenSpan span{e.mention_token[m], e.mention_token[m] + 1};
      while (span.end < static_cast<std::int64_t>(all) && starts[static_cast<std::size_t>(span.end)] < e.mention_end[m]) ++span.end;
      if (span.begin >= static_cast<std::int64_t>(kept)) continue;
      expected.mentions[e.mention_concept[m]].push_back({first + span.begin, first + std::min(span.end, static_cast<std::int64_t>(kept))});
    }
    expected.text.insert(expected.text.end(), n.token_ids.begin() + static_cast<std::ptrdiff_t>(begin),
                         n.token_ids.begin() + static_cast<std::ptrdiff_t>(begin + kept));
  }
  return expected;
}

TEST(PairSequences, of_a_batch_are_the_marked_texts_of_its_pairs_in_their_order) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  const auto rows = pair_refs(block);
  const std::vector<Task> tasks = test::random_schema({}).tasks;
  std::int64_t compared = 0, long_mentions = 0, sampled = 0;
  for (const std::size_t task : {causes, interacts}) {
    for (const auto& [window, per_note] : {std::pair<std::int64_t, std::int64_t>{64, 0}, {16, 0}, {64, 5}}) {
      DataConfig config;
      config.window_tokens = window;
      config.window_stride = 4;
      config.tokens_per_note = per_note;
      config.negatives = 1;
      const Collator collator = marking_collator(config, task);
      for (const bool training : {false, true}) {
        const auto draws = training ? std::optional(TrainingDraws{5, 1}) : std::nullopt;
        const Batch batch = collator.collate(rows, draws);
        std::int64_t pair = 0;
        for (std::size_t row = 0; row < rows.size(); ++row) {
          const Expected expected = expected_of(block, row, per_note);
          const auto candidates = candidate_pairs(tasks[task], concept_types_of(block, row));
          if (training && block.labels[task].valid[row] == 0) continue;
          const auto used = pairs_of_record(tasks[task], task, rows[row], config.negatives, draws);
          sampled += used.size() < candidates.size() ? 1 : 0;
          for (const RecordPair& own : used) {
            const auto spans = [&](std::int32_t concept_number) {
              const auto found = expected.mentions.find(concept_number);
              return found == expected.mentions.end() ? std::vector<TokenSpan>() : found->second;
            };
            const auto heads = spans(own.pair.head), tails = spans(own.pair.tail);
            long_mentions += std::count_if(heads.begin(), heads.end(), [](const TokenSpan& span) { return span.end - span.begin > 1; });
            ASSERT_LT(pair, batch.notes.windows());
            EXPECT_EQ(sequence_at(batch, pair), mark_pair(expected.text, heads, tails, {16, 17, 18, 19}, window - 2)) << "record " << row;
            const auto candidate = batch.pairs[task].candidate[pair].item<std::int64_t>();
            ASSERT_LT(candidate, static_cast<std::int64_t>(candidates.size()));
            EXPECT_EQ(candidates[static_cast<std::size_t>(candidate)], own.pair);
            ++pair;
            ++compared;
          }
        }
        EXPECT_EQ(pair, batch.notes.windows());
        EXPECT_EQ(pair, batch.pairs[task].head.size(0));
        EXPECT_LE(batch.notes.window_ids.size(1), window);
        EXPECT_FALSE(batch.notes.hidden.defined());
      }
    }
  }
  EXPECT_GT(compared, 500);
  EXPECT_GT(long_mentions, 50);
  EXPECT_GT(sampled, 20);
}

TEST(PairSequences, of_a_leaf_without_pairs_are_none) {
  RandomSource source;
  RecordBlock block = source.records(0, 0, 40);
  for (auto& valid : block.labels[causes].valid) valid = 0;
  const Batch batch = marking_collator({}, causes).collate(pair_refs(block), TrainingDraws{5, 1});
  EXPECT_EQ(batch.notes.windows(), 0);
  EXPECT_EQ(batch.notes.window_ids.size(0), 0);
  EXPECT_EQ(batch.pairs[causes].candidate.size(0), 0);
}

TEST(PairSequences, refuse_tokens_that_are_not_those_of_the_text) {
  RandomSource source;
  RecordBlock block = source.records(0, 0, 40);
  const auto& offsets = block.entities.mention_offsets;
  const auto row = static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), 0) - offsets.begin()) - 1;  // of the first mention
  const auto mentioned = static_cast<std::size_t>(block.notes.note_offsets[row] + block.entities.mention_note.at(0));
  block.notes.text.insert(static_cast<std::size_t>(block.notes.text_offsets[mentioned]), "mild ");
  for (std::size_t note = mentioned + 1; note < block.notes.text_offsets.size(); ++note) block.notes.text_offsets[note] += 5;
  EXPECT_THAT([&] { (void)marking_collator({}, causes).collate(pair_refs(block)); }, testing::ThrowsMessage<Error>(testing::HasSubstr("shards retokenize")));
  block.notes.text.clear();
  block.notes.text_offsets.clear();
  EXPECT_THAT([&] { (void)marking_collator({}, causes).collate(pair_refs(block)); }, testing::ThrowsMessage<Error>(testing::HasSubstr("texts of notes")));
}

TEST(MarkedPairTokens, are_those_of_the_text_and_of_the_markers_of_both_concepts_for_each_pair) {
  const auto tokens = [](std::uint32_t all, std::uint16_t longest, std::uint16_t notes, const EntityCounts& entities, std::int64_t pairs,
                         const TokenRules& rules) {
    IndexRow row;
    row.tokens = all;
    row.longest_note = longest;
    row.notes = notes;
    return marked_pair_tokens(row, entities, pairs, rules);
  };
  const TokenRules rules{0, 0, {100, 50}};
  EXPECT_EQ(tokens(40, 40, 1, {4, 8}, 3, rules), 3 * (40 + 2 * 4 + 2));
  EXPECT_EQ(tokens(40, 30, 2, {4, 9}, 3, rules), 3 * (40 + 2 * 5 + 2));
  EXPECT_EQ(tokens(95, 95, 1, {4, 8}, 3, rules), 300);
  EXPECT_EQ(tokens(95, 95, 1, {4, 8}, 2, {0, 20, {100, 50}}), 2 * (20 + 8 + 2));
  EXPECT_EQ(tokens(0, 0, 0, {0, 0}, 1, rules), 2);
  EXPECT_EQ(tokens(95, 95, 1, {4, 8}, 0, rules), 0);
}

TEST(BatchPlan, packs_marked_pairs_by_their_number_in_each_record) {
  Schema schema;
  schema.concept_types = {"drug", "disease"};
  schema.notes = true;
  schema.tasks = {{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}}};
  Catalogue catalogue;
  catalogue.schema = schema;
  catalogue.chunk_rows = 4;
  constexpr std::uint32_t records = 48;
  catalogue.parts.push_back({.rows = {records, 0, 0}});
  std::vector<IndexRow> rows;
  EntityIndex entities;
  for (std::uint32_t r = 0; r < records; ++r) {
    IndexRow& row = rows.emplace_back();
    row.tokens = row.longest_note = static_cast<std::uint16_t>(20 + r);
    row.notes = 1;
    row.labels_valid = r % 5 == 0 ? 0 : 1;
    entities.counts.push_back({4, 8});
    entities.pairs.push_back({r % 9, r % 9 / 3});
  }
  const RecordIndex index(catalogue, {rows}, {entities});
  PlanOptions options;
  options.global_batch = 16;
  options.micro_batch = 4;
  options.token_budget = 300;
  options.token_rules.windows = {64, 32};
  options.negatives = 1;
  options.marked_pairs = 0;
  const BatchPlan plan(index, schema.tasks, options);
  std::int64_t seen = 0, full = 0;
  for (std::int64_t step = 0; step < 3; ++step) {
    const StepPlan told = plan.step(step);
    for (const LeafPlan& leaf : plan.leaves(step, {0, told.leaves})) {
      std::int64_t tokens = 0;
      for (const RecordPlace& place : leaf.rows) {
        const std::int64_t r = place.row, related = r % 9 / 3, pairs = r % 5 == 0 ? 0 : related + std::min(r % 9 - related, std::max<std::int64_t>(1, related));
        tokens += pairs * std::min<std::int64_t>(64, 20 + r + 8 + 2);
        ++seen;
      }
      EXPECT_TRUE(tokens <= 300 || leaf.rows.size() == 1);
      full += tokens > 150;
    }
  }
  EXPECT_EQ(seen, records);
  EXPECT_GT(full, 5);
}

}  // namespace
}  // namespace tributary
