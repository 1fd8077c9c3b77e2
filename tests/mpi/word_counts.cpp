#include "ingest/word_counts.h"

#include <gmock/gmock.h>

#include <algorithm>

#include <string>

#include "base/error.h"
#include "base/files.h"
#include "ingest/synth.h"
#include "ingest/tokenizer.h"
#include "shards/shard_writer.h"
#include "support/shared_folder.h"

namespace tributary {
namespace {

// Lines of made-up words, a few MiB more than a block holds, so that lines lie across the border.
std::string corpus() {
  std::string text;
  for (std::uint64_t i = 0; text.size() < (17ULL << 20U); ++i) {
    text += 'w';
    text += std::to_string(i * 2654435761U % 9973);
    text += i % 13 == 0 ? "\xff\n" : " The ";
  }
  return text;
}

TEST(WordCounts, of_files_are_those_of_their_lines_on_any_number_of_ranks) {
  const Communicator world = Communicator::world();
  const test::SharedFolder folder(world);
  const std::string text = corpus();
  if (world.rank() == 0) {
    write_file(folder.path() / "long.txt", text);
    write_file(folder.path() / "short.txt", "one two\ntwo\n\nThr\xc3\xa9\x65");
    write_file(folder.path() / "empty.txt", "");
  }
  world.barrier();
  const CorpusWords found = count_words(world, {folder.path() / "long.txt", folder.path() / "short.txt", folder.path() / "empty.txt"}, TokenizerOptions{});
  EXPECT_EQ(found.replaced_bytes, std::count(text.begin(), text.end(), '\xff'));
  if (world.rank() != 0) {
    EXPECT_TRUE(found.counts.empty());
    return;
  }
  WordCounts expected;
  std::int64_t words = 0;
  for (const std::string& word : split_words(text + "\none two\ntwo\n\nThree")) {
    ++expected[word];
    ++words;
  }
  EXPECT_GT(expected.size(), 9000U);
  EXPECT_EQ(found.counts, expected);
  EXPECT_EQ(found.words, words);
}

TEST(WordCounts, of_a_data_set_are_those_of_its_training_notes) {
  const Communicator world = Communicator::world();
  const test::SharedFolder folder(world);
  SynthOptions options;
  options.records = 150;
  options.parts = 3;
  options.notes = 0.8;
  options.steps = 4;
  SynthSource source(options);
  WriteOptions write;
  write.origin = source.origin();
  write.vocabulary = source.tokenizer().vocabulary();
  write.tokenizer_digest = source.tokenizer().digest();
  const std::filesystem::path directory = folder.path() / "set";
  const Catalogue catalogue = write_shards(world, source, directory, write);
  const CorpusWords found = count_words(world, directory, catalogue, TokenizerOptions{});
  if (world.rank() != 0) return;
  WordCounts expected;
  for (std::size_t part = 0; part < catalogue.parts.size(); ++part) {
    const auto training = catalogue.parts[part].rows[0];
    const RecordBlock block = source.records(static_cast<int>(part), 0, training);
    for (std::size_t note = 0; note < block.notes.hour.size(); ++note) {
      const auto begin = static_cast<std::size_t>(block.notes.text_offsets[note]), end = static_cast<std::size_t>(block.notes.text_offsets[note + 1]);
      for (const std::string& word : split_words(std::string_view(block.notes.text).substr(begin, end - begin))) ++expected[word];
    }
  }
  EXPECT_GT(expected.size(), 100U);
  EXPECT_EQ(found.counts, expected);
}

TEST(WordCounts, need_files_that_are_there_and_not_compressed) {
  const Communicator world = Communicator::world();
  const test::SharedFolder folder(world);
  if (world.rank() == 0) write_file(folder.path() / "a.gz", std::string("\x1f\x8b\x08\x00text", 8));
  world.barrier();
  EXPECT_THAT([&] { (void)count_words(world, {folder.path() / "a.gz"}, TokenizerOptions{}); }, testing::ThrowsMessage<Error>(testing::HasSubstr("compressed")));
  EXPECT_THAT([&] { (void)count_words(world, {folder.path() / "none.txt"}, TokenizerOptions{}); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("none.txt")));
}

}  // namespace
}  // namespace tributary
