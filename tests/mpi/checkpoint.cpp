#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/compare.h"
#include "checkpoint/directory.h"
#include "checkpoint/serving/export.h"
#include "comm/agree.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

ParameterLayout small_layout() {
  return make_layout({{"a.weight", {3, 5, 7}},
                      {"b.bias", {2049}, Init::zeros, 0, false},
                      {"c.weight", {40, 60}},
                      {"d.frozen", {10}, Init::zeros, 0, true, false},
                      {"e.scalar", {1}}});
}

// What readers in other languages compute again: element i of entry e in group g (0 model, 1 m, 2 v).
float value_of(std::int64_t group, std::size_t entry, std::int64_t i) {
  const auto mixed = static_cast<std::uint32_t>((static_cast<std::uint64_t>(i) + 1000 * entry + 7) * 2654435761ULL + static_cast<std::uint64_t>(group) * 12345);
  return static_cast<float>(static_cast<double>(mixed) / 4294967296.0 - 0.5);
}

at::Tensor filled_arena(const ParameterLayout& layout, std::int64_t group) {
  at::Tensor arena = make_arena(layout, at::kFloat);
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    if (group > 0 && !layout.entries[e].spec.trainable) continue;
    for (std::int64_t i = 0; i < layout.entries[e].spec.count(); ++i) arena.data_ptr<float>()[layout.entries[e].offset + i] = value_of(group, e, i);
  }
  return arena;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && std::memcmp(a.data_ptr(), b.data_ptr(), static_cast<std::size_t>(a.numel()) * sizeof(float)) == 0;
}

Catalogue some_catalogue() {
  Catalogue catalogue;
  catalogue.schema.steps = 4;
  catalogue.schema.series = {{"vitals", {{"heart rate", "1/min"}}}};
  catalogue.schema.notes = true;
  catalogue.schema.tasks = {{"death", TaskKind::binary, {"no", "yes"}}};
  catalogue.normalisation.series = {{{75, 10, 100}}};
  catalogue.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pain"};
  catalogue.label_counts = {{{{1, 1, 1}}, {{{1, 0, 1}}, {{0, 1, 0}}}}};
  return catalogue;
}

// One run's state and a directory of its own, equal on all ranks.
class Checkpoints : public testing::Test {
 protected:
  void SetUp() override {
    run = world.broadcast((fs::temp_directory_path() / ("tributary-checkpoint-" + std::to_string(::getpid()))).string(), 0);
    state.step = 20;
    state.updates = 19;
    state.validations = {{10, 0.5}};
  }
  void TearDown() override {
    world.barrier();
    if (world.rank() == 0) fs::remove_all(run);
    world.barrier();
  }
  // Slices that end anywhere, also inside a row of a tensor.
  struct ArenaRange {
    std::int64_t offset, count;
  };
  [[nodiscard]] ArenaRange slice(const Communicator& comm) const {
    const std::int64_t begin = layout.trainable * comm.rank() / comm.size(), end = layout.trainable * (comm.rank() + 1) / comm.size();
    return {begin, end - begin};
  }
  Manifest save(const Communicator& comm, const fs::path& directory, const std::string& name) const {
    const ArenaRange own = slice(comm);
    const MomentSlice moments{own.offset, first.narrow(0, own.offset, own.count).contiguous(), second.narrow(0, own.offset, own.count).contiguous()};
    const CheckpointSource source{layout,    {{layout, parameters, moments}},  comm.rank(), comm.size(), state, config,
                                  catalogue, R"({"metrics": {"auroc": 0.75}})"};
    return save_checkpoint(comm, directory, name, source);
  }
  void expect_equal(const Communicator& comm, const fs::path& path) const {
    const CheckpointHead head = open_checkpoint(comm, path);
    EXPECT_EQ(head.state, state);
    EXPECT_EQ(head.config_toml, config);
    EXPECT_EQ(head.catalogue.schema, catalogue.schema);
    EXPECT_EQ(head.catalogue.normalisation, catalogue.normalisation);
    EXPECT_EQ(head.catalogue.vocabulary, catalogue.vocabulary);
    const ArenaRange own = slice(comm);
    const LoadedTensors loaded = std::move(load_tensors(comm, head, layout, {{layout, own.offset, own.count}}, true).front());
    EXPECT_TRUE(same_bits(loaded.parameters, parameters));
    EXPECT_TRUE(same_bits(loaded.moments.first, first.narrow(0, own.offset, own.count)));
    EXPECT_TRUE(same_bits(loaded.moments.second, second.narrow(0, own.offset, own.count)));
    verify_tensors(comm, path, head.manifest);
  }

  Communicator world = Communicator::world();
  ParameterLayout layout = small_layout();
  at::Tensor parameters = filled_arena(layout, 0), first = filled_arena(layout, 1), second = filled_arena(layout, 2);
  TrainState state;
  std::string config = "[train]\nseed = 1\n";
  Catalogue catalogue = some_catalogue();
  fs::path run;
};

TEST_F(Checkpoints, come_back_bit_for_bit_on_any_number_of_ranks_with_equal_digests) {
  std::string digest;
  for (int ranks = 1; ranks <= world.size(); ++ranks) {
    const Communicator part = world.split(world.rank() < ranks ? 0 : 1, world.rank());
    const std::string name = checkpoint_name(ranks);
    if (world.rank() < ranks) {
      const Manifest manifest = save(part, run, name);
      EXPECT_EQ(manifest.tensors.size(), 5U + 4U + 4U);  // no moments of the frozen one
      if (digest.empty()) digest = manifest.content_digest();
      EXPECT_EQ(manifest.content_digest(), digest);
    }
    world.barrier();
    expect_equal(world, run / name);
  }
}

TEST_F(Checkpoints, are_listed_newest_first_without_what_is_unfinished_or_damaged) {
  for (const std::int64_t step : {10, 20, 30, 40}) {
    state.step = step;
    save(world, run, checkpoint_name(step));
  }
  copy_checkpoint(world, run, checkpoint_name(40), "best");
  agreed(world, [&] {
    if (world.rank() != 0) return;
    fs::create_directories(run / ".tmp-step-00000050-1" / "inner");
    fs::remove(run / checkpoint_name(30) / manifest_file);
    fs::resize_file(run / checkpoint_name(40) / tensors_file, 100);
    write_file(run / "events.jsonl", "{}\n");
  });
  RunListing listing = list_run(world, run);
  ASSERT_EQ(listing.checkpoints.size(), 2U);
  EXPECT_EQ(listing.checkpoints[0].path, run / checkpoint_name(20));
  EXPECT_EQ(listing.checkpoints[1].step, 10);
  ASSERT_EQ(listing.skipped.size(), 3U);  // best shares its bytes with the newest
  EXPECT_THAT(listing.skipped[1].reason, testing::HasSubstr("manifest"));
  EXPECT_THAT(listing.skipped[2].reason, testing::HasSubstr("tensors.h5: 100 bytes"));
  EXPECT_EQ(resolve_checkpoint(run), run / checkpoint_name(20));
  state.step = 60;
  save(world, run, checkpoint_name(60));
  EXPECT_FALSE(fs::exists(run / ".tmp-step-00000050-1"));
  retain_newest(world, run, 1);
  listing = list_run(world, run);
  ASSERT_EQ(listing.checkpoints.size(), 1U);
  EXPECT_EQ(listing.checkpoints[0].step, 60);
}

TEST_F(Checkpoints, of_one_name_replace_each_other_and_the_best_is_a_copy_of_its_own) {
  save(world, run, checkpoint_name(20));
  copy_checkpoint(world, run, checkpoint_name(20), "best");
  world.barrier();
  parameters.data_ptr<float>()[3] += 1;
  save(world, run, checkpoint_name(20));
  expect_equal(world, run / checkpoint_name(20));
  const CheckpointDifference difference = compare_checkpoints(run / "best", run / checkpoint_name(20));
  EXPECT_EQ(difference.compared, 13);
  ASSERT_EQ(difference.tensors.size(), 1U);
  EXPECT_EQ(difference.tensors[0].name, "model/a.weight");
  EXPECT_NEAR(difference.tensors[0].largest, 1.0, 1e-6);
  EXPECT_GE(difference.tensors[0].differing_bytes, 1);
  world.barrier();
  copy_checkpoint(world, run, checkpoint_name(20), "best");
  expect_equal(world, run / "best");
  EXPECT_TRUE(compare_checkpoints(run / "best", run / checkpoint_name(20)).tensors.empty());
}

TEST_F(Checkpoints, moved_aside_by_a_replacement_that_was_cut_off_are_put_back) {
  save(world, run, "best");
  state.step = 30;
  save(world, run, checkpoint_name(30));
  agreed(world, [&] {
    if (world.rank() != 0) return;
    fs::rename(run / "best", run / ".tmp-old-best-123");                      // cut off before the new one got the name
    fs::copy(run / checkpoint_name(30), run / ".tmp-best-123");               // the new one
    fs::copy(run / checkpoint_name(30), run / ".tmp-old-step-00000030-123");  // cut off after it: the name is taken
    fs::create_directories(run / ".tmp-old-step-00000010-123");               // half removed
    fs::copy(run / checkpoint_name(30), run / ".tmp-gone-step-00000020-123");
    remove_temporaries(run);
  });
  state.step = 20;
  expect_equal(world, run / "best");
  state.step = 30;
  expect_equal(world, run / checkpoint_name(30));
  world.barrier();
  EXPECT_EQ(std::distance(fs::directory_iterator(run), fs::directory_iterator{}), 2);
}

std::string refusal(const Communicator& comm, const fs::path& path, const ParameterLayout& layout) {
  try {
    const CheckpointHead head = open_checkpoint(comm, path);
    (void)load_tensors(comm, head, layout, {{layout, 0, layout.trainable}}, true);
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "accepted";
}

TEST_F(Checkpoints, of_another_model_are_refused_with_tensor_expected_and_found) {
  save(world, run, "best");
  auto specs = [&] {
    std::vector<ParameterSpec> all;
    for (const ParameterEntry& entry : layout.entries) all.push_back(entry.spec);
    return all;
  };
  auto wider = specs();
  wider[2].shape = {40, 61};
  EXPECT_THAT(refusal(world, run / "best", make_layout(wider)),
              testing::AllOf(testing::StartsWith("65"), testing::HasSubstr("'model/c.weight' has shape [40, 60], the model expects [40, 61]")));
  auto more = specs();
  more.push_back({"f", {2}});
  EXPECT_THAT(refusal(world, run / "best", make_layout(more)), testing::HasSubstr("no tensor 'model/f' of shape [2]"));
  auto fewer = specs();
  fewer.pop_back();
  EXPECT_THAT(refusal(world, run / "best", make_layout(fewer)), testing::HasSubstr("'model/d.frozen' of shape [10] is unknown to the model"));
  auto thawed = specs();
  thawed.back().trainable = true;  // frozen ones stand last
  EXPECT_THAT(refusal(world, run / "best", make_layout(thawed)), testing::HasSubstr("no tensor 'optimizer/m/d.frozen'"));
  EXPECT_EQ(refusal(world, run / "best", layout), "accepted");
  EXPECT_THAT(refusal(world, run / "worst", layout), testing::StartsWith("66"));
}

TEST_F(Checkpoints, with_a_flipped_bit_or_a_cut_file_are_refused_by_name_or_load_unchanged) {
  save(world, run, "best");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run / "best")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 6U);  // catalogue.json config.toml manifest.json state.bin tensors.h5 vocab.txt
  const auto put = [&](const fs::path& file, const std::string& bytes) {
    world.barrier();
    if (world.rank() == 0) std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    world.barrier();
  };
  for (const fs::path& file : files) {
    const std::string good = read_file(file);
    const bool tensors = file.filename() == tensors_file;
    int refused = 0, tried = 0;
    const std::size_t step = std::max<std::size_t>(1, good.size() / (world.size() == 1 ? 60 : 10));
    for (std::size_t place = 0; place < good.size(); place += step, ++tried) {
      std::string bad = good;
      bad[place] = static_cast<char>(bad[place] ^ (1 << (place % 8)));
      put(file, bad);
      const std::string told = refusal(world, run / "best", layout);
      refused += told != "accepted";
      if (told != "accepted") {
        ASSERT_THAT(told, testing::AllOf(testing::StartsWith("65"), testing::HasSubstr(file.filename().string())));
      } else {
        ASSERT_TRUE(tensors) << file << " byte " << place;
        expect_equal(world, run / "best");  // a byte of the file that belongs to nothing
      }
    }
    EXPECT_GT(refused, tensors ? tried / 2 : tried - 1);
    for (const std::size_t size : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
      put(file, good.substr(0, size));
      EXPECT_THAT(refusal(world, run / "best", layout), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr(file.filename().string())));
    }
    put(file, good);
  }
  expect_equal(world, run / "best");
}

// From too small for the first file to almost enough.
TEST_F(Checkpoints, leave_nothing_under_the_final_name_when_the_disk_is_full) {
  for (const char* size : {"size=8k", "size=64k", "size=1080k"}) {
    const auto mounted = agreed(world, [&] {
      if (world.rank() != 0) return true;
      fs::create_directories(run);
      return ::mount("tmpfs", run.c_str(), "tmpfs", 0, size) == 0;
    });
    std::array<std::int64_t, 1> refused{mounted ? 0 : 1};
    world.maximum(refused);
    if (refused[0] != 0) GTEST_SKIP() << "needs the right to mount a tmpfs";
    std::string told = "accepted";
    try {
      save(world, run, checkpoint_name(20));
    } catch (const Error& error) {
      told = std::to_string(error.exit_code());
    }
    EXPECT_EQ(told, "74") << size;
    world.barrier();
    EXPECT_TRUE(fs::is_empty(run));
    world.barrier();
    if (world.rank() == 0) ::umount2(run.c_str(), MNT_DETACH);
    world.barrier();
  }
}

TEST_F(Checkpoints, are_exported_for_servers) {
  if (world.rank() == 0) {
    const ExportContents contents{layout, parameters, {{"format", "pt"}}, "{}\n", "{}\n", catalogue.vocabulary, "# Model\n"};
    export_model(run / "export", contents);
    EXPECT_EQ(read_file(run / "export" / "README.md"), "# Model\n");
    EXPECT_TRUE(fs::exists(run / "export" / "vocab.txt"));
    EXPECT_FALSE(fs::exists(run / "export" / "builder"));
    EXPECT_THROW(export_model(run / "export", contents), Error);
  }
}

// For the tests of other readers, which name the directory; elsewhere a folder of its own.
TEST_F(Checkpoints, are_written_for_readers_in_other_languages) {
  const char* named = std::getenv("TRIBUTARY_SAMPLE");
  const fs::path directory = named == nullptr ? run : fs::path(named);
  save(world, directory, "best");
  if (world.rank() != 0) return;
  export_model(directory / "export", {layout, parameters, {{"format", "pt"}}, "{}\n", "{}\n", catalogue.vocabulary, "# Model\n"});
  EXPECT_TRUE(fs::exists(directory / "best" / "manifest.json"));
  EXPECT_TRUE(fs::exists(directory / "export" / "model.safetensors"));
}

}  // namespace
}  // namespace tributary
