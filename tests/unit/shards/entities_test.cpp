#include "shards/entities.h"

#include <gmock/gmock.h>

#include <functional>

#include "base/error.h"
#include "shards/block_checks.h"
#include "support/random_source.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;
using testing::ElementsAre;
using Types = std::vector<std::uint8_t>;

TEST(Candidates, are_the_ordered_pairs_of_the_types_that_the_task_names) {
  const Types types{0, 1, 0, 2};
  const Task causes{"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}, true};
  EXPECT_THAT(candidate_pairs(causes, types), ElementsAre(ConceptPair{0, 1}, ConceptPair{2, 1}));
  const Task same{"same", TaskKind::relation, {"none", "same"}, {{0, 0}}, true};
  EXPECT_THAT(candidate_pairs(same, types), ElementsAre(ConceptPair{0, 2}, ConceptPair{2, 0}));
  const Task undirected{"undirected", TaskKind::relation, {"none", "same"}, {{0, 0}, {2, 0}}, false};
  EXPECT_THAT(candidate_pairs(undirected, types), ElementsAre(ConceptPair{0, 2}, ConceptPair{3, 0}, ConceptPair{3, 2}));
  EXPECT_FALSE(is_candidate(undirected, types, {2, 0}));
  EXPECT_FALSE(is_candidate(undirected, types, {0, 0}));
  EXPECT_FALSE(is_candidate(undirected, types, {0, 4}));
}

TEST(Candidates, are_counted_without_being_made) {
  const auto draw = [](std::uint64_t at, std::int64_t below) { return static_cast<std::int64_t>(uniform(Key{7, 3}, at) * static_cast<double>(below)); };
  std::size_t compared = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    Types types;
    for (std::int64_t c = draw(100 * i, 12); c > 0; --c) types.push_back(static_cast<std::uint8_t>(draw(100 * i + static_cast<std::uint64_t>(c), 3)));
    for (const bool directed : {true, false})
      for (const std::vector<TypePair>& of : {std::vector<TypePair>{{0, 1}}, {{1, 1}}, {{0, 0}, {1, 2}, {0, 2}}}) {
        const Task task{"t", TaskKind::relation, {"none", "some"}, of, directed};
        const std::vector<ConceptPair> pairs = candidate_pairs(task, types);
        EXPECT_EQ(candidate_count(task, types), static_cast<std::int64_t>(pairs.size()));
        EXPECT_TRUE(std::is_sorted(pairs.begin(), pairs.end()));
        compared += pairs.size();
      }
  }
  EXPECT_GT(compared, 1000U);
}

TEST(MentionTokens, begin_with_the_first_token_inside_or_with_the_one_that_reaches_in) {
  const std::vector<std::int32_t> begin{0, 4, 9, 20}, end{4, 8, 15, 22};
  EXPECT_EQ(first_token(0, 4, begin, end), 0);
  EXPECT_EQ(first_token(4, 15, begin, end), 1);
  EXPECT_EQ(first_token(3, 8, begin, end), 1);    // from inside token 0 on: token 1 starts inside
  EXPECT_EQ(first_token(11, 13, begin, end), 2);  // inside token 2 alone
  EXPECT_EQ(first_token(8, 9, begin, end), -1);   // between two tokens
  EXPECT_EQ(first_token(15, 20, begin, end), -1);
  EXPECT_EQ(first_token(15, 30, begin, end), 3);
  EXPECT_EQ(first_token(22, 30, begin, end), -1);  // behind the last
  EXPECT_EQ(first_token(0, 4, {}, {}), -1);
}

TEST(MentionTokens, of_a_block_follow_from_the_bytes_of_its_notes_tokens) {
  RandomSource source;
  RecordBlock block = source.records(0, 0, 40);
  const std::vector<std::int32_t> expected = block.entities.mention_token;
  block.entities.mention_token.clear();
  MentionTokens tokens(block);
  for (std::size_t note = 0; note < block.notes.hour.size(); ++note) {
    std::vector<std::int32_t> begin, end;
    const auto first = static_cast<std::size_t>(block.notes.text_offsets[note]), last = static_cast<std::size_t>(block.notes.text_offsets[note + 1]);
    const std::string text = block.notes.text.substr(first, last - first);
    for (std::size_t at = 0; at < text.size(); at = static_cast<std::size_t>(end.back()) + 1) {
      begin.push_back(static_cast<std::int32_t>(at));
      end.push_back(static_cast<std::int32_t>(std::min(text.find(' ', at), text.size())));
    }
    tokens.next_note(begin, end);
  }
  EXPECT_EQ(block.entities.mention_token, expected);
  EXPECT_GT(expected.size(), 80U);
}

struct BadEntities {
  std::string name;
  std::function<void(EntityColumns&)> spoil;
  std::string told;
};

// Gives a concept the id of the one before it in the same record.
void repeat_an_id(EntityColumns& e) {
  const auto length = [&](std::size_t c) { return e.concept_id_offsets[c + 1] - e.concept_id_offsets[c]; };
  for (std::size_t row = 0; row + 1 < e.concept_offsets.size(); ++row)
    for (auto c = static_cast<std::size_t>(e.concept_offsets[row]) + 1; c < static_cast<std::size_t>(e.concept_offsets[row + 1]); ++c) {
      if (length(c) != length(c - 1)) continue;
      const auto size = static_cast<std::size_t>(length(c));
      e.concept_ids.replace(static_cast<std::size_t>(e.concept_id_offsets[c]), size,
                            e.concept_ids.substr(static_cast<std::size_t>(e.concept_id_offsets[c - 1]), size));
      return;
    }
}

std::vector<BadEntities> bad_entities() {
  return {
      {"type of a concept", [](EntityColumns& e) { e.concept_type[0] = 3; }, "concepts type: row"},
      {"id of another concept", [](EntityColumns& e) { repeat_an_id(e); }, "concepts id: row"},
      {"id not UTF-8", [](EntityColumns& e) { e.concept_ids[0] = '\xff'; }, "concepts id: row"},
      {"note of a mention", [](EntityColumns& e) { e.mention_note.back() = 7; }, "mentions note: row"},
      {"mention outside its note", [](EntityColumns& e) { e.mention_end.back() += 1000; }, "mentions: row"},
      {"empty mention", [](EntityColumns& e) { e.mention_end.front() = e.mention_begin.front(); }, "mentions: row"},
      {"negative mention", [](EntityColumns& e) { e.mention_begin.front() = -1; }, "mentions: row"},
      {"concept of a mention", [](EntityColumns& e) { e.mention_concept.front() = 99; }, "mentions concept: row"},
      {"concept without a mention",
       [](EntityColumns& e) {
         for (std::int64_t m = 0; m < e.mention_offsets.back(); ++m)
           if (e.mention_concept[static_cast<std::size_t>(m)] == 0) e.mention_concept[static_cast<std::size_t>(m)] = -1;
       },
       "has no mention"},
      {"type of a mention", [](EntityColumns& e) { e.mention_type.front() = 3; }, "mentions type: row"},
      {"token of a mention", [](EntityColumns& e) { e.mention_token.front() = 500; }, "tokens mentions: row"},
      {"task of a relation", [](EntityColumns& e) { e.relation_task.front() = 1; }, "relations task: row"},
      {"relation that is no candidate", [](EntityColumns& e) { e.relation_tail.front() = e.relation_head.front(); }, "is no candidate of task"},
      {"class 0 told", [](EntityColumns& e) { e.relation_class.front() = 0; }, "relations class: row"},
      {"class outside", [](EntityColumns& e) { e.relation_class.front() = 3; }, "relations class: row"},
      {"novelty", [](EntityColumns& e) { e.relation_novelty.front() = 3; }, "relations novelty: row"},
  };
}

std::string told_of(const RandomSource& source, const RecordBlock& block) {
  try {
    check_block(source.schema(), block, {"part-00000.h5", 0, RandomSourceOptions{}.part_rows[0]}, 16);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(BlockChecks, name_every_bad_concept_mention_and_relation) {
  RandomSource source;
  ASSERT_EQ(told_of(source, source.records(0, 0, 40)), "accepted");
  for (const BadEntities& bad : bad_entities()) {
    RecordBlock block = source.records(0, 0, 40);
    bad.spoil(block.entities);
    EXPECT_THAT(told_of(source, block), testing::HasSubstr(bad.told)) << bad.name;
  }
  EXPECT_EQ(bad_entities().size(), 16U);
}

TEST(BlockChecks, refuse_a_mention_that_cuts_a_character_a_doubled_one_and_a_relation_of_an_unknown_record) {
  RandomSource source;
  const RecordBlock good = source.records(0, 0, 40);
  RecordBlock block = good;
  bool cut = false;
  for (std::size_t m = 0; m < good.entities.mention_note.size() && !cut; ++m) {
    std::size_t row = 0;
    while (good.entities.mention_offsets[row + 1] <= static_cast<std::int64_t>(m)) ++row;
    const auto note = static_cast<std::size_t>(good.notes.note_offsets[row] + good.entities.mention_note[m]);
    cut = good.notes.text.compare(static_cast<std::size_t>(good.notes.text_offsets[note] + good.entities.mention_begin[m]), 2, "ü") == 0;
    if (cut) block.entities.mention_begin[m] += 1;
  }
  ASSERT_TRUE(cut);
  EXPECT_THAT(told_of(source, block), testing::HasSubstr("cuts a character"));
  block = good;
  EntityColumns& e = block.entities;
  std::size_t row = 0;
  while (e.mention_offsets[row + 1] - e.mention_offsets[row] < 2) ++row;
  const auto m = static_cast<std::size_t>(e.mention_offsets[row]);
  for (auto* column : {&e.mention_note, &e.mention_begin, &e.mention_end, &e.mention_concept}) (*column)[m + 1] = (*column)[m];
  EXPECT_THAT(told_of(source, block), testing::HasSubstr("stands twice"));
  block = good;
  row = 0;
  while (block.entities.relation_offsets[row + 1] == 0) ++row;
  block.labels[block.entities.relation_task[0]].valid[row] = 0;
  EXPECT_THAT(told_of(source, block), testing::HasSubstr("labels are not valid"));
}

TEST(Schema, refuses_concepts_and_relations_that_a_data_set_cannot_hold) {
  const Schema good = test::random_schema({});
  check_schema(good);
  const std::vector<std::function<void(Schema&)>> faults{[](Schema& s) { s.notes = false; },
                                                         [](Schema& s) { s.concept_types.clear(); },
                                                         [](Schema& s) { s.concept_types[1] = "drug"; },
                                                         [](Schema& s) { s.concept_types[1] = ""; },
                                                         [](Schema& s) { s.tasks[4].classes.pop_back(); },
                                                         [](Schema& s) { s.tasks[4].candidates.clear(); },
                                                         [](Schema& s) { s.tasks[4].candidates[0].tail = 3; },
                                                         [](Schema& s) {
                                                           s.tasks[4].candidates.push_back({0, 1});
                                                         },
                                                         [](Schema& s) {
                                                           s.tasks[5].candidates.push_back({2, 0});
                                                         },
                                                         [](Schema& s) {
                                                           s.tasks[0].candidates = {{0, 1}};
                                                         }};
  for (std::size_t i = 0; i < faults.size(); ++i) {
    Schema schema = good;
    faults[i](schema);
    EXPECT_THROW(check_schema(schema), Error) << i;
  }
}

}  // namespace
}  // namespace tributary
