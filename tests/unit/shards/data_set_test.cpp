#include <gtest/gtest.h>

#include <set>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "shards/record_index.h"
#include "shards/shard_reader.h"
#include "shards/verification.h"
#include "support/folder.h"
#include "support/random_source.h"
#include "support/singleton_mpi.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;

void expect_equal(const RecordBlock& found, const RecordBlock& expected) {
  ASSERT_EQ(found.rows, expected.rows);
  EXPECT_EQ(found.ids, expected.ids);
  EXPECT_EQ(found.patient, expected.patient);
  EXPECT_EQ(found.split, expected.split);
  EXPECT_EQ(found.presence, expected.presence);
  EXPECT_EQ(found.steps, expected.steps);
  EXPECT_EQ(found.static_values, expected.static_values);
  EXPECT_EQ(found.static_observed, expected.static_observed);
  ASSERT_EQ(found.series.size(), expected.series.size());
  for (std::size_t g = 0; g < found.series.size(); ++g) {
    EXPECT_EQ(found.series[g].values, expected.series[g].values);
    EXPECT_EQ(found.series[g].observed, expected.series[g].observed);
  }
  EXPECT_EQ(found.notes.note_offsets, expected.notes.note_offsets);
  EXPECT_EQ(found.notes.hour, expected.notes.hour);
  EXPECT_EQ(found.notes.text_offsets, expected.notes.text_offsets);
  EXPECT_EQ(found.notes.text, expected.notes.text);
  EXPECT_EQ(found.notes.token_offsets, expected.notes.token_offsets);
  EXPECT_EQ(found.notes.token_ids, expected.notes.token_ids);
  EXPECT_EQ(found.notes.token_marks, expected.notes.token_marks);
  const EntityColumns &e = found.entities, &x = expected.entities;
  EXPECT_EQ(e.concept_offsets, x.concept_offsets);
  EXPECT_EQ(e.concept_type, x.concept_type);
  EXPECT_EQ(e.concept_id_offsets, x.concept_id_offsets);
  EXPECT_EQ(e.concept_ids, x.concept_ids);
  EXPECT_EQ(e.mention_offsets, x.mention_offsets);
  EXPECT_EQ(e.mention_note, x.mention_note);
  EXPECT_EQ(e.mention_begin, x.mention_begin);
  EXPECT_EQ(e.mention_end, x.mention_end);
  EXPECT_EQ(e.mention_concept, x.mention_concept);
  EXPECT_EQ(e.mention_type, x.mention_type);
  EXPECT_EQ(e.mention_token, x.mention_token);
  EXPECT_EQ(e.relation_offsets, x.relation_offsets);
  EXPECT_EQ(e.relation_task, x.relation_task);
  EXPECT_EQ(e.relation_head, x.relation_head);
  EXPECT_EQ(e.relation_tail, x.relation_tail);
  EXPECT_EQ(e.relation_class, x.relation_class);
  EXPECT_EQ(e.relation_novelty, x.relation_novelty);
  EXPECT_EQ(found.images, expected.images);
  ASSERT_EQ(found.labels.size(), expected.labels.size());
  for (std::size_t t = 0; t < found.labels.size(); ++t) {
    EXPECT_EQ(found.labels[t].values, expected.labels[t].values);
    EXPECT_EQ(found.labels[t].valid, expected.labels[t].valid);
  }
}

FieldSelection everything() {
  FieldSelection fields;
  fields.text = true;
  return fields;
}

class DataSet : public testing::Test {
 protected:
  void SetUp() override { test::start_mpi(); }
  Catalogue write(const RandomSourceOptions& options, const std::string& name = "set") {
    RandomSource source(options);
    return write_shards(Communicator::self(), source, folder_.path() / name, random_write_options(options));
  }
  test::Folder folder_;
};

TEST_F(DataSet, returns_the_rows_it_was_given_in_pieces_of_any_size) {
  const RandomSourceOptions options;
  const Catalogue written = write(options);
  const Catalogue catalogue = load_catalogue(folder_.path() / "set");
  EXPECT_EQ(to_json(catalogue), to_json(written));
  EXPECT_EQ(catalogue.vocabulary, test::random_vocabulary());
  RandomSource source(options);
  ShardReader reader(folder_.path() / "set", catalogue, Verify::always);
  std::int64_t compared = 0;
  for (const std::int64_t piece : {1, 5, 8, 16, 59})
    for (int part = 0; part < 2; ++part) {
      const std::int64_t rows = catalogue.parts[static_cast<std::size_t>(part)].total_rows();
      for (std::int64_t first = 0; first < rows; first += piece) {
        const std::int64_t count = std::min(piece, rows - first);
        expect_equal(reader.read(part, first, count, everything()), source.records(part, first, count));
        compared += count;
      }
    }
  EXPECT_EQ(compared, 5 * (59 + 42));
  EXPECT_TRUE(verify_data_set(Communicator::self(), folder_.path() / "set", catalogue).empty());
}

TEST_F(DataSet, works_without_notes_images_or_rows) {
  RandomSourceOptions options;
  options.notes = options.image = false;
  options.part_rows = {{0, 0, 0}, {3, 0, 1}};
  const Catalogue catalogue = write(options);
  RandomSource source(options);
  ShardReader reader(folder_.path() / "set", load_catalogue(folder_.path() / "set"), Verify::stamp);
  expect_equal(reader.read(1, 0, 4, everything()), source.records(1, 0, 4));
  EXPECT_EQ(reader.read(0, 0, 0, everything()).rows, 0);
  options.notes = true;
  options.words_per_note = 0;  // notes without a word
  const Catalogue wordless = write(options, "wordless");
  ShardReader second(folder_.path() / "wordless", wordless, Verify::stamp);
  RandomSource wordless_source(options);
  expect_equal(second.read(1, 1, 3, everything()), wordless_source.records(1, 1, 3));
  EXPECT_NE(catalogue.content_digest, wordless.content_digest);
  EXPECT_TRUE(verify_data_set(Communicator::self(), folder_.path() / "wordless", wordless).empty());
}

TEST_F(DataSet, loads_only_the_fields_selected) {
  const Catalogue catalogue = write({});
  ShardReader reader(folder_.path() / "set", catalogue, Verify::never);
  const RecordBlock block = reader.read(0, 3, 9, {false, false, false, false, false, false, false});
  EXPECT_EQ(block.ids.size(), 9U);
  EXPECT_EQ(block.steps.size(), 9U);
  EXPECT_TRUE(block.static_values.empty() && block.images.empty() && block.notes.note_offsets.empty());
  EXPECT_TRUE(block.series.at(1).values.empty() && block.labels.at(3).valid.empty());
  EXPECT_TRUE(block.entities.concept_offsets.empty() && block.entities.mention_note.empty());
  FieldSelection without_labels;
  without_labels.labels = without_labels.tokens = false;
  const RecordBlock mentions = reader.read(0, 3, 9, without_labels);
  EXPECT_GT(mentions.entities.mention_note.size(), 5U);
  EXPECT_TRUE(mentions.entities.mention_token.empty() && mentions.entities.relation_task.empty());
  EXPECT_EQ(mentions.entities.relation_offsets, std::vector<std::int64_t>(10, 0));
}

TEST_F(DataSet, index_tells_what_the_records_hold) {
  const RandomSourceOptions options;
  const Catalogue catalogue = write(options);
  const RecordIndex index = load_index(Communicator::self(), folder_.path() / "set", catalogue, Verify::stamp);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "set" / "part-00001.h5.verified"));
  EXPECT_EQ(index.rows(Split::train), 73);
  EXPECT_EQ(index.first_row(0, Split::test), 47);
  RandomSource source(options);
  std::int64_t tokens = 0;
  std::uint32_t mentions = 0, pairs = 0, related = 0;
  for (int part = 0; part < index.parts(); ++part) {
    const std::int64_t rows = catalogue.parts[static_cast<std::size_t>(part)].total_rows();
    const RecordBlock block = source.records(part, 0, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      const IndexRow& row = index.at({part, r});
      const auto i = static_cast<std::size_t>(r);
      const std::int64_t begin = block.notes.note_offsets[i], end = block.notes.note_offsets[i + 1];
      EXPECT_EQ(row.notes, end - begin);
      EXPECT_EQ(row.tokens, block.notes.token_offsets[static_cast<std::size_t>(end)] - block.notes.token_offsets[static_cast<std::size_t>(begin)]);
      EXPECT_EQ(row.presence, block.presence[i]);
      EXPECT_EQ(row.steps, block.steps[i]);
      EXPECT_EQ(index.entities({part, r}).concepts, concept_types_of(block, i).size());
      EXPECT_EQ(index.entities({part, r}).mentions, block.entities.mention_offsets[i + 1] - block.entities.mention_offsets[i]);
      mentions += index.entities({part, r}).mentions;
      for (std::size_t relation = 0; relation < 2; ++relation) {
        const Task& task = source.schema().tasks[4 + relation];
        const PairCounts& found = index.pairs({part, r}, relation);
        EXPECT_EQ(found.candidates, candidate_pairs(task, concept_types_of(block, i)).size());
        std::uint32_t expected = 0;
        for (std::int64_t k = block.entities.relation_offsets[i]; k < block.entities.relation_offsets[i + 1]; ++k)
          expected += block.entities.relation_task[static_cast<std::size_t>(k)] == 4 + relation;
        EXPECT_EQ(found.related, expected);
        pairs += found.candidates;
        related += found.related;
      }
      for (std::size_t t = 0; t < 6; ++t) EXPECT_EQ(row.labels_valid >> t & 1U, block.labels[t].valid[i]);
      tokens += row.tokens;
    }
  }
  EXPECT_GT(tokens, 100);
  EXPECT_GT(mentions, 100U);
  EXPECT_GT(pairs, 100U);
  EXPECT_GT(related, 20U);
}

TEST_F(DataSet, normalisation_and_label_counts_follow_from_the_training_rows) {
  const RandomSourceOptions options;
  const Catalogue catalogue = write(options);
  RandomSource source(options);
  double count = 0, sum = 0, squares = 0;
  std::int64_t positive = 0, valid = 0;
  for (int part = 0; part < 2; ++part) {
    const RecordBlock block = source.records(part, 0, options.part_rows[static_cast<std::size_t>(part)][0]);
    for (std::size_t i = 1; i < block.series[1].values.size(); i += 2) {  // labs: lactate
      if (block.series[1].observed[i] == 0) continue;
      count += 1;
      sum += block.series[1].values[i];
      squares += static_cast<double>(block.series[1].values[i]) * block.series[1].values[i];
    }
    for (std::size_t r = 0; r < block.labels[0].valid.size(); ++r) {
      valid += block.labels[0].valid[r];
      positive += block.labels[0].values[r] == 1;
    }
  }
  const ChannelStatistics& lactate = catalogue.normalisation.series.at(1).at(1);
  EXPECT_EQ(static_cast<double>(lactate.count), count);
  EXPECT_NEAR(lactate.mean, sum / count, 1e-10);
  EXPECT_NEAR(lactate.deviation, std::sqrt(squares / count - sum / count * sum / count), 1e-9);
  EXPECT_EQ(catalogue.label_counts.at(0).valid[0], valid);
  EXPECT_EQ(catalogue.label_counts.at(0).classes.at(1)[0], positive);
  EXPECT_GT(positive, 0);
  const LabelCounts& interacts = catalogue.label_counts.at(5);
  std::array<std::int64_t, 3> classes{};
  for (int part = 0; part < 2; ++part) {
    const RecordBlock block = source.records(part, 0, options.part_rows[static_cast<std::size_t>(part)][0]);
    for (std::size_t r = 0; r < static_cast<std::size_t>(block.rows); ++r) {
      if (block.labels[5].valid[r] == 0) continue;
      classes[0] += static_cast<std::int64_t>(candidate_pairs(source.schema().tasks[5], concept_types_of(block, r)).size());
      for (auto k = static_cast<std::size_t>(block.entities.relation_offsets[r]); k < static_cast<std::size_t>(block.entities.relation_offsets[r + 1]); ++k)
        if (block.entities.relation_task[k] == 5) --classes[0], ++classes[block.entities.relation_class[k]];
    }
  }
  EXPECT_EQ(interacts.valid[0], classes[0] + classes[1] + classes[2]);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(interacts.classes.at(k)[0], classes[k]);
  EXPECT_GT(classes[1], 5);
}

TEST_F(DataSet, refuses_to_write_over_something) {
  make_directories(folder_.path() / "set");
  write_file(folder_.path() / "set" / "precious", "x");
  try {
    write({});
    FAIL() << "wrote over a folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cannot_create);
  }
  EXPECT_EQ(read_file(folder_.path() / "set" / "precious"), "x");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

}  // namespace
}  // namespace tributary
