// A data set holds the same whatever ranks wrote it, and a failure on one rank is told by all.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"
#include "shards/record_index.h"
#include "shards/shard_reader.h"
#include "shards/verification.h"
#include "support/random_source.h"
#include "support/shared_folder.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;
using test::SharedFolder;

RandomSourceOptions options_of(std::size_t parts) {
  RandomSourceOptions options;
  options.seed = parts;
  options.words_per_note = 60;
  if (parts == 1) options.part_rows = {{900, 101, 250}};
  if (parts == 2) options.part_rows = {{700, 3, 5}, {333, 100, 21}};
  if (parts == 5) options.part_rows = {{10, 1, 2}, {0, 0, 0}, {300, 50, 20}, {1, 0, 0}, {64, 8, 8}};
  return options;
}

// What must not depend on ranks: everything but sizes and digests of files.
std::string logical_content(Catalogue catalogue) {
  for (PartInfo& part : catalogue.parts) {
    part.size_bytes = 0;
    part.block_digests.clear();
    part.file_digest.clear();
  }
  return to_json(catalogue);
}

TEST(DataSet, is_the_same_for_any_number_of_ranks_and_as_written_by_one_process) {
  const auto world = Communicator::world();
  const SharedFolder folder(world);
  int compared = 0;
  for (const std::size_t parts : {1U, 2U, 5U}) {
    const RandomSourceOptions options = options_of(parts);
    RandomSource source(options);
    const std::filesystem::path together = folder.path() / ("together-" + std::to_string(parts));
    const Catalogue written = write_shards(world, source, together, random_write_options(options));
    ASSERT_EQ(written.parts.size(), parts);
    std::string alone;
    if (world.rank() == 0)
      alone = logical_content(write_shards(Communicator::self(), source, folder.path() / ("alone-" + std::to_string(parts)), random_write_options(options)));
    EXPECT_EQ(logical_content(written), world.broadcast(alone, 0));
    EXPECT_EQ(to_json(load_catalogue(together)), to_json(written));
    const auto faults = verify_data_set(world, together, written);
    for (const PartFault& fault : faults) ADD_FAILURE() << fault.what;
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

TEST(DataSet, hands_the_same_index_to_all_ranks_and_reads_what_was_written) {
  const auto world = Communicator::world();
  const SharedFolder folder(world);
  const RandomSourceOptions options = options_of(2);
  RandomSource source(options);
  const Catalogue catalogue = write_shards(world, source, folder.path() / "set", random_write_options(options));
  const RecordIndex index = load_index(world, folder.path() / "set", catalogue, Verify::stamp);
  std::string bytes;
  for (std::int64_t row = 0; row < 708; ++row) bytes.append(reinterpret_cast<const char*>(&index.at({0, row})), sizeof(IndexRow));
  EXPECT_EQ(bytes, world.broadcast(bytes, 0));
  ShardReader reader(folder.path() / "set", catalogue, Verify::stamp);
  const std::int64_t first = 100 * world.rank() + 7;
  EXPECT_EQ(reader.read(0, first, 99, {}).notes.token_ids, source.records(0, first, 99).notes.token_ids);
  EXPECT_EQ(reader.read(0, first, 99, {}).ids, source.records(0, first, 99).ids);
}

// Spoils one record, whoever asks for it.
class SpoiledSource : public RandomSource {
 public:
  SpoiledSource(RandomSourceOptions options, int part, std::int64_t row) : RandomSource(std::move(options)), part_(part), row_(row) {}
  RecordBlock records(int part, std::int64_t first, std::int64_t rows) override {
    RecordBlock block = RandomSource::records(part, first, rows);
    if (part == part_ && row_ >= first && row_ < first + rows) block.labels[1].values[static_cast<std::size_t>(row_ - first)] = 3;
    return block;
  }

 private:
  int part_;
  std::int64_t row_;
};

TEST(DataSet, a_bad_record_is_named_by_all_ranks_and_nothing_stays) {
  const auto world = Communicator::world();
  const SharedFolder folder(world);
  for (const std::size_t parts : {1U, 2U, 5U}) {
    const std::int64_t row = parts == 1 ? 1200 : 10;
    SpoiledSource source(options_of(parts), static_cast<int>(parts) / 2, row);
    try {
      write_shards(world, source, folder.path() / "set", random_write_options(options_of(parts)));
      ADD_FAILURE() << "a label outside the map was written";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_NE(std::string(error.what()).find("labels diagnosis: row " + std::to_string(row)), std::string::npos) << error.what();
    }
    world.barrier();
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    world.barrier();
  }
}

TEST(DataSet, a_missing_part_is_told_by_all_ranks) {
  const auto world = Communicator::world();
  const SharedFolder folder(world);
  RandomSource source(options_of(2));
  const Catalogue catalogue = write_shards(world, source, folder.path() / "set", random_write_options(options_of(2)));
  if (world.rank() == 0) std::filesystem::remove(folder.path() / "set" / "part-00001.h5");
  world.barrier();
  try {
    static_cast<void>(load_index(world, folder.path() / "set", catalogue, Verify::stamp));
    ADD_FAILURE() << "loaded an index without its part";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
    EXPECT_NE(std::string(error.what()).find("part-00001.h5"), std::string::npos);
  }
}

}  // namespace
}  // namespace tributary
