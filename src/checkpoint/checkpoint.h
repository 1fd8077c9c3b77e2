// Saves and loads checkpoints by logical tensor, so that any number of ranks loads what any other number wrote. Layout: checkpoints/FORMAT.md.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/train_state.h"
#include "comm/communicator.h"
#include "model/parameters.h"
#include "shards/catalogue.h"

namespace tributary {

// A rank's slice of the optimizer's moments: elements [offset, offset + first.numel()) of the trained part of an arena.
struct MomentSlice {
  std::int64_t offset = 0;
  at::Tensor first, second;  // float
};

// What a rank has of one stage.
struct StagePart {
  const ParameterLayout& layout;
  const at::Tensor& parameters;  // the stage's arena, equal on all ranks that hold it
  MomentSlice moments;           // these ranks' slices together are its trained part
};

struct CheckpointSource {
  const ParameterLayout& layout;  // of the whole model
  std::vector<StagePart> stages;  // that this rank holds
  int copy = 0, copies = 1;       // its number among the ranks that hold them, and how many they are
  const TrainState& state;
  const std::string& config_toml;
  const Catalogue& catalogue;  // of the data set trained on: schema, normalisation, vocabulary
  std::string extra_json = "{}";
};

// "step-00000020"
[[nodiscard]] std::string checkpoint_name(std::int64_t step);

// Writes <run_dir>/<name>: staged as <run_dir>/.tmp-<name>-<pid>, fsynced, read back and compared, manifest last, renamed; an older checkpoint of the name is
// replaced in one step. Left-over temporaries of the run directory are removed first: it belongs to one job at a time. Frozen parameters have no moments.
// Collective: all ranks of `comm`. Throws on all ranks together: Error{cannot_create, io}; then nothing new stands under the final name.
Manifest save_checkpoint(const Communicator& comm, const std::filesystem::path& run_dir, const std::string& name, const CheckpointSource& source);

// <run_dir>/<name> becomes a copy of <run_dir>/<from>, or of another run's checkpoint when `from` is an absolute path (hard links where the file system has
// them). Collective. Throws on all ranks together.
void copy_checkpoint(const Communicator& comm, const std::filesystem::path& run_dir, const std::string& from, const std::string& name);

// Removes all but the newest `keep` of <run_dir>/step-*. Collective. Throws on all ranks together: Error{io}.
void retain_newest(const Communicator& comm, const std::filesystem::path& run_dir, std::int64_t keep);

// All but the tensors.
struct CheckpointHead {
  std::filesystem::path path;
  Manifest manifest;
  TrainState state;
  std::string config_toml;
  Catalogue catalogue;
};

// Every rank reads the small files and checks their digests. Collective. Throws on all ranks together: Error{missing, data, io}.
[[nodiscard]] CheckpointHead open_checkpoint(const Communicator& comm, const std::filesystem::path& path);

struct LoadedTensors {
  at::Tensor parameters;  // the stage's arena, padding 0
  MomentSlice moments;    // as asked for; padding 0
};

// What a rank wants of a stage.
struct StageWish {
  const ParameterLayout& layout;
  std::int64_t offset = 0, count = 0;  // the slice of its moments; may be empty
};

// Every rank gets the arenas it asks for and, unless `moments` is false on all ranks, their slices of the moments. `layout`: of the whole model. All digests
// are checked. Collective. Throws on all ranks together: Error{data} naming the tensor, what the model expects and what the checkpoint has; Error{missing, io}.
[[nodiscard]] std::vector<LoadedTensors> load_tensors(const Communicator& comm, const CheckpointHead& head, const ParameterLayout& layout,
                                                      const std::vector<StageWish>& stages, bool moments);

// Checks the digest of every tensor, dealt to ranks. Collective. Throws on all ranks together: Error{data} naming file and tensor.
void verify_tensors(const Communicator& comm, const std::filesystem::path& path, const Manifest& manifest);

}  // namespace tributary
