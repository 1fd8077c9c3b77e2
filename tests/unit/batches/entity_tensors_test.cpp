#include "batches/entity_tensors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "batches/collator.h"
#include "batches/prefetcher.h"
#include "support/random_source.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;
using testing::ElementsAre;

const SpecialTokens entity_special{0, 1, 2, 3, 4};
constexpr std::size_t causes_type = 4, interacts_type = 5;  // the relation tasks of random_schema

std::vector<std::int64_t> numbers_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

std::vector<RowRef> refs_of(const RecordBlock& block, int part = 0) {
  const auto shared = std::make_shared<const RecordBlock>(block);
  std::vector<RowRef> rows;
  for (std::int64_t row = 0; row < block.rows; ++row) rows.push_back({{part, row}, shared, row});
  return rows;
}

Normalisation plain_normalisation() { return {std::vector<ChannelStatistics>(3), {std::vector<ChannelStatistics>(3), std::vector<ChannelStatistics>(2)}}; }

Collator collator_of(const DataConfig& config) { return {test::random_schema({}), plain_normalisation(), entity_special, config}; }

using Pair = std::array<std::int64_t, 4>;  // record, head and tail inside the record, class

// The pairs of a batch with concepts numbered inside their records.
std::vector<Pair> pairs_in(const Batch& batch, std::size_t task) {
  std::map<std::int64_t, std::int64_t> first;
  const auto concept_record = numbers_of(batch.mentions.concept_record);
  for (std::size_t c = 0; c < concept_record.size(); ++c) first.emplace(concept_record[c], static_cast<std::int64_t>(c));
  const PairTensors& pairs = batch.pairs.at(task);
  const auto record = numbers_of(pairs.record), head = numbers_of(pairs.head), tail = numbers_of(pairs.tail), label = numbers_of(pairs.label);
  std::vector<Pair> list;
  for (std::size_t p = 0; p < record.size(); ++p) {
    EXPECT_EQ(concept_record[static_cast<std::size_t>(head[p])], record[p]);
    EXPECT_EQ(concept_record[static_cast<std::size_t>(tail[p])], record[p]);
    list.push_back({record[p], head[p] - first[record[p]], tail[p] - first[record[p]], label[p]});
  }
  return list;
}

// All candidates of the block's records by the definition.
std::vector<Pair> all_pairs(const RecordBlock& block, std::size_t task) {
  const Schema schema = test::random_schema({});
  std::vector<Pair> list;
  for (std::size_t row = 0; row < static_cast<std::size_t>(block.rows); ++row) {
    for (const ConceptPair& pair : candidate_pairs(schema.tasks[task], concept_types_of(block, row))) {
      std::int64_t label = 0;
      const EntityColumns& e = block.entities;
      for (auto r = static_cast<std::size_t>(e.relation_offsets[row]); r < static_cast<std::size_t>(e.relation_offsets[row + 1]); ++r)
        if (e.relation_task[r] == task && e.relation_head[r] == pair.head && e.relation_tail[r] == pair.tail) label = e.relation_class[r];
      list.push_back({static_cast<std::int64_t>(row), pair.head, pair.tail, label});
    }
  }
  return list;
}

TEST(Pairs, are_all_candidates_in_evaluation_and_say_what_is_known) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  DataConfig config;
  config.negatives = 1;  // counts in training alone
  const Batch batch = collator_of(config).collate(refs_of(block));
  std::int64_t unknown = 0, related = 0;
  for (const std::size_t task : {causes_type, interacts_type}) {
    EXPECT_EQ(pairs_in(batch, task), all_pairs(block, task));
    const auto record = numbers_of(batch.pairs[task].record), known = numbers_of(batch.pairs[task].known);
    for (std::size_t p = 0; p < record.size(); ++p) {
      EXPECT_EQ(known[p], block.labels[task].valid[static_cast<std::size_t>(record[p])]);
      unknown += known[p] == 0;
    }
    EXPECT_EQ(numbers_of(batch.labels[task].value), numbers_of(batch.pairs[task].label));
    EXPECT_EQ(batch.labels[task].value.dim(), 2);
    related += (batch.pairs[task].label > 0).sum().item<std::int64_t>();
  }
  EXPECT_FALSE(batch.pairs[0].head.defined());
  EXPECT_GT(unknown, 5);
  EXPECT_GT(related, 20);
}

TEST(Pairs, of_training_are_the_related_ones_and_a_draw_that_epoch_and_record_alone_decide) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  const auto rows = refs_of(block);
  DataConfig config;
  config.negatives = 2;
  const Collator collator = collator_of(config);
  const Batch first = collator.collate(rows, TrainingDraws{5, 1}), again = collator.collate(rows, TrainingDraws{5, 1});
  int smaller = 0;
  for (const std::size_t task : {causes_type, interacts_type}) {
    const std::vector<Pair> all = all_pairs(block, task), drawn = pairs_in(first, task);
    EXPECT_EQ(drawn, pairs_in(again, task));
    EXPECT_TRUE(std::is_sorted(drawn.begin(), drawn.end()));
    EXPECT_TRUE(std::includes(all.begin(), all.end(), drawn.begin(), drawn.end()));
    EXPECT_NE(drawn, pairs_in(collator.collate(rows, TrainingDraws{5, 2}), task));
    EXPECT_NE(drawn, pairs_in(collator.collate(rows, TrainingDraws{6, 1}), task));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto of_row = [&](const std::vector<Pair>& pairs, bool related) {
        return std::count_if(pairs.begin(), pairs.end(), [&](const Pair& p) { return p[0] == static_cast<std::int64_t>(row) && (p[3] > 0) == related; });
      };
      const bool valid = block.labels[task].valid[row] != 0;
      EXPECT_EQ(of_row(drawn, true), valid ? of_row(all, true) : 0);
      const PairCounts counts = pair_counts(block, row, test::random_schema({}).tasks[task], task);
      EXPECT_EQ(of_row(drawn, false), valid ? sampled_negatives(counts, 2) : 0);
      smaller += valid && sampled_negatives(counts, 2) < sampled_negatives(counts, 0);
      const Batch alone = collator.collate({rows[row]}, TrainingDraws{5, 1});
      std::vector<Pair> expected;
      for (Pair pair : drawn)
        if (std::exchange(pair[0], 0) == static_cast<std::int64_t>(row)) expected.push_back(pair);
      EXPECT_EQ(pairs_in(alone, task), expected);
    }
    EXPECT_TRUE(first.pairs[task].known.all().item<bool>());
  }
  EXPECT_GT(smaller, 5);
}

TEST(Pairs, number_of_negatives_follows_from_the_index_alone) {
  EXPECT_EQ(sampled_negatives({30, 4}, 0), 26);
  EXPECT_EQ(sampled_negatives({30, 4}, 2), 8);
  EXPECT_EQ(sampled_negatives({30, 4}, 0.3), 2);
  EXPECT_EQ(sampled_negatives({30, 0}, 3), 3);
  EXPECT_EQ(sampled_negatives({5, 4}, 3), 1);
  EXPECT_EQ(sampled_negatives({0, 0}, 3), 0);
}

// Records of a RandomSource and the index that its writer would make.
class RandomRows : public RowSource {
 public:
  [[nodiscard]] RecordBlock read(int part, std::int64_t first, std::int64_t rows) override { return source_.records(part, first, rows); }
  [[nodiscard]] RecordIndex index() {
    Catalogue catalogue;
    catalogue.schema = source_.schema();
    catalogue.chunk_rows = 8;
    std::vector<std::vector<IndexRow>> parts;
    std::vector<EntityIndex> entities;
    for (const auto& rows : source_.part_rows()) {
      catalogue.parts.push_back({.rows = rows});
      const RecordBlock block = source_.records(static_cast<int>(parts.size()), 0, rows[0] + rows[1] + rows[2]);
      std::vector<IndexRow>& own = parts.emplace_back();
      EntityIndex& counts = entities.emplace_back();
      for (std::size_t r = 0; r < static_cast<std::size_t>(block.rows); ++r) {
        IndexRow& row = own.emplace_back();
        row.split = block.split[r];
        for (std::size_t t = 0; t < block.labels.size(); ++t) row.labels_valid |= static_cast<std::uint64_t>(block.labels[t].valid[r]) << t;
        counts.counts.push_back({});
        for (const std::size_t task : {causes_type, interacts_type}) counts.pairs.push_back(pair_counts(block, r, catalogue.schema.tasks[task], task));
      }
    }
    return {catalogue, std::move(parts), std::move(entities)};
  }
  [[nodiscard]] const Schema& schema() const { return source_.schema(); }

 private:
  RandomSource source_;
};

TEST(Pairs, of_a_step_are_as_many_as_the_plan_says_on_any_number_of_ranks) {
  RandomRows source;
  const RecordIndex index = source.index();
  std::int64_t compared = 0;
  for (const double negatives : {0.0, 1.5}) {
    PlanOptions options;
    options.global_batch = 12;
    options.micro_batch = 3;
    options.negatives = negatives;
    const BatchPlan plan(index, source.schema().tasks, options);
    DataConfig config;
    config.negatives = negatives;
    const Collator collator = collator_of(config);
    for (const int ranks : {1, 3}) {
      std::vector<std::array<std::int64_t, 2>> found(9, {0, 0});
      for (int rank = 0; rank < ranks; ++rank) {
        Prefetcher prefetcher(plan, index, source, collator, {.ranks = ranks, .rank = rank, .end_step = 9});
        for (auto& sums : found) {
          const StepBatches step = prefetcher.next();
          for (const Batch& batch : step.batches)
            for (std::size_t k = 0; k < 2; ++k) sums[k] += batch.labels[causes_type + k].valid.sum().item<std::int64_t>();
        }
      }
      for (std::int64_t step = 0; step < 9; ++step) {
        const StepPlan told = plan.step(step);
        for (std::size_t k = 0; k < 2; ++k) EXPECT_EQ(found[static_cast<std::size_t>(step)][k], told.label_counts[causes_type + k]) << step;
        compared += told.label_counts[causes_type];
      }
    }
  }
  EXPECT_GT(compared, 200);
}

// The word with which a mention of the batch begins, through the windows of the leaf.
std::int64_t word_at(const Batch& batch, std::size_t mention) {
  const auto lengths = numbers_of(batch.notes.record_tokens), position = numbers_of(batch.notes.token_position), windows = numbers_of(batch.notes.window_ids);
  std::int64_t before = 0;
  const std::int64_t record = batch.mentions.record[static_cast<std::int64_t>(mention)].item<std::int64_t>();
  for (std::int64_t b = 0; b < record; ++b) before += lengths[static_cast<std::size_t>(b)];
  const std::int64_t token = batch.mentions.token[static_cast<std::int64_t>(mention)].item<std::int64_t>();
  EXPECT_LT(token, lengths[static_cast<std::size_t>(record)]);
  return windows[static_cast<std::size_t>(position[static_cast<std::size_t>(before + token)])];
}

TEST(Mentions, stand_at_their_first_token_in_the_sequence_of_their_record_or_are_dropped) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  const EntityColumns& e = block.entities;
  std::int64_t kept_all = 0, dropped = 0;
  for (const auto& [notes, tokens] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {1, 0}, {2, 4}}) {
    DataConfig config;
    config.window_tokens = 8;
    config.window_stride = 4;
    config.notes_per_record = notes;
    config.tokens_per_note = tokens;
    const Batch batch = collator_of(config).collate(refs_of(block));
    std::size_t next = 0;
    std::int64_t base = 0, cut = 0;
    std::set<std::int64_t> said;
    for (std::size_t row = 0; row < 40; ++row) {
      const std::int64_t count = block.notes.note_offsets[row + 1] - block.notes.note_offsets[row];
      for (auto m = static_cast<std::size_t>(e.mention_offsets[row]); m < static_cast<std::size_t>(e.mention_offsets[row + 1]); ++m) {
        if ((notes > 0 && e.mention_note[m] < count - notes) || (tokens > 0 && e.mention_token[m] >= tokens)) {
          ++cut;
          continue;
        }
        const auto note = static_cast<std::size_t>(block.notes.note_offsets[row] + e.mention_note[m]);
        ASSERT_LT(next, static_cast<std::size_t>(batch.mentions.token.size(0)));
        EXPECT_EQ(word_at(batch, next), block.notes.token_ids[static_cast<std::size_t>(block.notes.token_offsets[note] + e.mention_token[m])]);
        EXPECT_EQ(batch.mentions.record[static_cast<std::int64_t>(next)].item<std::int64_t>(), static_cast<std::int64_t>(row));
        const std::int64_t number = e.mention_concept[m] < 0 ? -1 : base + e.mention_concept[m];
        EXPECT_EQ(batch.mentions.concept_number[static_cast<std::int64_t>(next)].item<std::int64_t>(), number);
        if (number >= 0) said.insert(number);
        ++next;
      }
      base += e.concept_offsets[row + 1] - e.concept_offsets[row];
    }
    EXPECT_EQ(batch.mentions.token.size(0), static_cast<std::int64_t>(next));
    EXPECT_EQ(batch.mentions.dropped, cut);
    EXPECT_EQ(batch.mentions.concept_record.size(0), base);
    EXPECT_EQ(batch.mentions.silent_concepts, base - static_cast<std::int64_t>(said.size()));
    kept_all += static_cast<std::int64_t>(next);
    dropped += cut;
  }
  EXPECT_GT(kept_all, 150);
  EXPECT_GT(dropped, 50);
}

TEST(Mentions, of_several_concepts_are_one_place) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  const Batch batch = collator_of({}).collate(refs_of(block));
  const EntityColumns& e = block.entities;
  std::set<std::array<std::int64_t, 4>> places;
  for (std::size_t row = 0; row < 40; ++row)
    for (auto m = static_cast<std::size_t>(e.mention_offsets[row]); m < static_cast<std::size_t>(e.mention_offsets[row + 1]); ++m)
      places.insert({static_cast<std::int64_t>(row), e.mention_note[m], e.mention_begin[m], e.mention_end[m]});
  EXPECT_EQ(batch.mentions.distinct.size(0), static_cast<std::int64_t>(places.size()));
  EXPECT_LT(places.size(), e.mention_note.size());
  const auto distinct = numbers_of(batch.mentions.distinct), token = numbers_of(batch.mentions.token), record = numbers_of(batch.mentions.record);
  EXPECT_TRUE(std::is_sorted(distinct.begin(), distinct.end()));
  EXPECT_EQ(distinct.at(0), 0);
  for (std::size_t m = 1; m < token.size(); ++m)
    if (!std::binary_search(distinct.begin(), distinct.end(), static_cast<std::int64_t>(m))) {
      EXPECT_EQ(token[m], token[m - 1]);
      EXPECT_EQ(record[m], record[m - 1]);
    }
}

TEST(Mentions, are_absent_with_their_notes_while_concepts_and_pairs_stay) {
  RandomSource source;
  const RecordBlock block = source.records(0, 0, 40);
  DataConfig config;
  config.leave_out = {"notes"};
  const Batch batch = collator_of(config).collate(refs_of(block));
  EXPECT_EQ(batch.mentions.token.size(0), 0);
  EXPECT_EQ(batch.mentions.silent_concepts, batch.mentions.concept_record.size(0));
  EXPECT_EQ(pairs_in(batch, interacts_type), all_pairs(block, interacts_type));
  EXPECT_THAT(numbers_of(batch.notes.record_tokens), testing::Each(0));
  EXPECT_GT(batch.mentions.silent_concepts, 40);
}

}  // namespace
}  // namespace tributary
