#include "ingest/synth.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <string>

#include "comm/communicator.h"
#include "shards/shard_writer.h"

namespace tributary {
namespace {

std::string write(const Communicator& comm, SynthSource& source, const std::filesystem::path& directory) {
  WriteOptions options;
  options.chunk_rows = 16;
  options.origin = source.origin();
  options.vocabulary = source.tokenizer().vocabulary();
  options.tokenizer_digest = source.tokenizer().digest();
  const Catalogue catalogue = write_shards(comm, source, directory, options);
  EXPECT_EQ(catalogue.total_rows(), 300);
  return catalogue.content_digest;
}

TEST(SynthShards, have_the_same_content_digest_as_when_one_rank_writes_them) {
  const auto world = Communicator::world();
  const auto alone = Communicator::self();
  const std::string folder = world.broadcast((std::filesystem::temp_directory_path() / ("synth-" + std::to_string(::getpid()))).string(), 0);
  if (world.rank() == 0) std::filesystem::create_directory(folder);
  world.barrier();
  int compared = 0;
  for (const std::int64_t parts : {1, 3}) {  // with one part several ranks write one file
    SynthOptions options;
    options.records = 300;
    options.parts = parts;
    options.steps = 6;
    options.images = 0.5;
    options.notes = 0.7;
    SynthSource source(options), again(options);
    const std::filesystem::path place = std::filesystem::path(folder) / std::to_string(parts);
    const std::string together = write(world, source, place);
    if (world.rank() == 0) {
      EXPECT_EQ(together, write(alone, again, place.string() + "-alone"));
      ++compared;
    }
  }
  if (world.rank() == 0) {
    EXPECT_EQ(compared, 2);
    std::filesystem::remove_all(folder);
  }
  world.barrier();
}

}  // namespace
}  // namespace tributary
