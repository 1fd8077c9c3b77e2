#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/version.h"
#include "checkpoint/directory.h"
#include "comm/agree.h"

namespace tributary {
namespace {

constexpr const char* model_group = "model/";
constexpr const char* first_group = "optimizer/m/";
constexpr const char* second_group = "optimizer/v/";

// The elements of an entry that lie in [first, last) of the arena; none of a borrowed one.
TensorPiece piece_of(const char* group, const ParameterEntry& entry, std::int64_t first, std::int64_t last, const float* arena) {
  TensorPiece piece{{group + entry.spec.name, entry.spec.shape}};
  first = std::max(first, entry.offset);
  last = std::min(last, entry.offset + entry.spec.count());
  if (entry.borrowed || first >= last) return piece;
  piece.first = first - entry.offset;
  piece.last = last - entry.offset;
  piece.data = arena + first;
  return piece;
}

// Which part of each tensor of the whole model this rank writes: of the trained ones its slice, of the frozen ones an equal share.
std::vector<TensorPiece> pieces_of(const CheckpointSource& source) {
  struct Own {
    const StagePart* stage;
    const ParameterEntry* entry;
  };
  std::map<std::string, Own> own;
  for (const StagePart& stage : source.stages)
    for (const ParameterEntry& entry : stage.layout.entries)
      if (!entry.borrowed) own[entry.spec.name] = {&stage, &entry};
  std::vector<TensorPiece> pieces;
  const auto append = [&](const char* group, const ParameterEntry& entry, const auto& values) {
    const auto found = own.find(entry.spec.name);
    if (found == own.end()) {
      pieces.push_back({{group + entry.spec.name, entry.spec.shape}});
      return;
    }
    const auto& [stage, place] = found->second;
    const std::int64_t slice = stage->moments.offset, trained = slice + stage->moments.first.numel();
    const std::int64_t begin = stage->layout.trainable, frozen = stage->layout.total - begin;
    if (entry.spec.trainable)
      pieces.push_back(piece_of(group, *place, slice, trained, values(*stage)));
    else
      pieces.push_back(
          piece_of(group, *place, begin + frozen * source.copy / source.copies, begin + frozen * (source.copy + 1) / source.copies, values(*stage)));
  };
  for (const ParameterEntry& entry : source.layout.entries)
    append(model_group, entry, [](const StagePart& stage) { return stage.parameters.data_ptr<float>(); });
  for (const auto& [group, moment] : {std::pair{first_group, &MomentSlice::first}, std::pair{second_group, &MomentSlice::second}})
    for (const ParameterEntry& entry : source.layout.entries)
      if (entry.spec.trainable)
        append(group, entry, [moment = moment](const StagePart& stage) { return (stage.moments.*moment).data_ptr<float>() - stage.moments.offset; });
  return pieces;
}

void check_source(const CheckpointSource& source) {
  const auto plain = [](const at::Tensor& tensor) { return tensor.scalar_type() == at::kFloat && tensor.is_contiguous() && tensor.device().is_cpu(); };
  for (const auto& [layout, parameters, moments] : source.stages) {
    check(plain(parameters) && plain(moments.first) && plain(moments.second), "save_checkpoint: tensors must be contiguous floats");
    check(parameters.numel() == layout.total && moments.first.numel() == moments.second.numel() && moments.offset >= 0 &&
              moments.offset + moments.first.numel() <= layout.trainable,
          "save_checkpoint: slice of {} at {} of {} trained elements", moments.first.numel(), moments.offset, layout.trainable);
  }
}

// What the file system gives back must be what was written: on a full disk the library may report success.
void compare_with_memory(const TensorReader& reader, const std::filesystem::path& path, const std::vector<TensorPiece>& pieces) {
  std::vector<float> found;
  for (const TensorPiece& piece : pieces) {
    found.resize(static_cast<std::size_t>(piece.last - piece.first));
    if (found.empty()) continue;
    reader.read(piece.tensor, piece.first, piece.last, found.data());
    if (std::memcmp(found.data(), piece.data, found.size() * sizeof(float)) != 0) {
      fail(ErrorKind::io, "{}: {}: what was read back is not what was written; is the disk full or failing?", path.string(), piece.tensor.name);
    }
  }
}

// Tensor i is digested by rank i mod ranks; every rank gets all of them.
std::vector<TensorRecord> digest_tensors(const Communicator& comm, const TensorReader& reader, const std::vector<TensorPiece>& pieces) {
  const std::string own = agreed(comm, [&] {
    std::string digests;
    for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < pieces.size(); i += static_cast<std::size_t>(comm.size()))
      digests += reader.digest(pieces[i].tensor);
    return digests;
  });
  const std::vector<std::string> all = comm.all_gather(own);
  std::vector<TensorRecord> records;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto ranks = static_cast<std::size_t>(comm.size());
    records.push_back({pieces[i].tensor, all[i % ranks].substr(64 * (i / ranks), 64)});
  }
  std::sort(records.begin(), records.end(), [](const TensorRecord& a, const TensorRecord& b) { return a.tensor.name < b.tensor.name; });
  return records;
}

// Rank 0 works, the others wait and share its failure.
template <class Work>
void on_root(const Communicator& comm, Work&& work) {
  agreed(comm, [&] {
    if (comm.rank() == 0) work();
  });
}

void write_small_files(const std::filesystem::path& staging, const CheckpointSource& source) {
  write_file(staging / state_file, to_bytes(source.state));
  write_file(staging / config_file, source.config_toml);
  save_catalogue(staging, source.catalogue);
}

// When the disk is full in a collective call, HDF5 may leave ranks that did not meet the failure in a barrier for ever. So rank 0 asks before all write.
void need_space(const std::filesystem::path& folder, const std::vector<TensorPiece>& pieces) {
  std::uintmax_t needed = std::uintmax_t{1} << 20;  // the file's own structures, and the manifest
  for (const TensorPiece& piece : pieces) needed += static_cast<std::uintmax_t>(piece.tensor.count()) * sizeof(float);
  std::error_code code;
  const std::filesystem::space_info space = std::filesystem::space(folder, code);
  if (!code && space.available < needed) {
    fail(ErrorKind::io, "{}: {} bytes free, a checkpoint needs {}; free some space, lower checkpoint.keep or choose another run.dir", folder.string(),
         space.available, needed);
  }
}

Manifest write_staged(const Communicator& comm, const std::filesystem::path& staging, const CheckpointSource& source) {
  on_root(comm, [&] {
    std::error_code code;
    std::filesystem::remove_all(staging, code);
    if (!std::filesystem::create_directory(staging, code)) fail(ErrorKind::cannot_create, "{}: cannot create the folder: {}", staging.string(), code.message());
    write_small_files(staging, source);
  });
  const auto path = staging / tensors_file;
  const std::vector<TensorPiece> pieces = pieces_of(source);
  on_root(comm, [&] { need_space(staging, pieces); });
  write_tensors(comm, path, pieces);
  agreed(comm, [&] { sync_path(path); });
  const TensorReader reader = agreed(comm, [&] {
    TensorReader opened(path);
    compare_with_memory(opened, path, pieces);
    return opened;
  });
  Manifest manifest;
  manifest.step = source.state.step;
  manifest.program = program_version();
  manifest.tensors = digest_tensors(comm, reader, pieces);
  manifest.extra_json = source.extra_json;
  on_root(comm, [&] {
    for (const auto& entry : std::filesystem::directory_iterator(staging)) {
      const std::string name = entry.path().filename().string();
      manifest.files.push_back(record_file(staging, name, name != tensors_file));
    }
    std::sort(manifest.files.begin(), manifest.files.end(), [](const FileRecord& a, const FileRecord& b) { return a.name < b.name; });
    write_file(staging / manifest_file, to_json(manifest));
    static_cast<void>(load_manifest(staging));  // small files read back whole, or the disk was full
  });
  return manifest;
}

NamedShape named(const char* group, const ParameterEntry& entry) { return {group + entry.spec.name, entry.spec.shape}; }

const TensorRecord& expect_tensor(const CheckpointHead& head, const NamedShape& wanted) {
  const TensorRecord* found = head.manifest.find(wanted.name);
  if (found == nullptr) {
    fail(ErrorKind::data, "{}: no tensor '{}' of shape [{}], which the model has; was it trained with another [model] configuration?", head.path.string(),
         wanted.name, fmt::join(wanted.shape, ", "));
  }
  if (found->tensor.shape != wanted.shape) {
    fail(ErrorKind::data, "{}: tensor '{}' has shape [{}], the model expects [{}]; was it trained with another [model] configuration?", head.path.string(),
         wanted.name, fmt::join(found->tensor.shape, ", "), fmt::join(wanted.shape, ", "));
  }
  return *found;
}

void check_names(const CheckpointHead& head, const ParameterLayout& layout, bool moments) {
  std::size_t known = 0, model = 0;
  for (const ParameterEntry& entry : layout.entries) {
    static_cast<void>(expect_tensor(head, named(model_group, entry)));
    ++known;
    if (!moments || !entry.spec.trainable) continue;
    static_cast<void>(expect_tensor(head, named(first_group, entry)));
    static_cast<void>(expect_tensor(head, named(second_group, entry)));
  }
  for (const TensorRecord& record : head.manifest.tensors) {
    if (!record.tensor.name.starts_with(model_group)) continue;
    ++model;
    const std::string name = record.tensor.name.substr(std::strlen(model_group));
    const auto found = std::find_if(layout.entries.begin(), layout.entries.end(), [&](const ParameterEntry& entry) { return entry.spec.name == name; });
    if (found == layout.entries.end()) {
      fail(ErrorKind::data, "{}: tensor '{}' of shape [{}] is unknown to the model; was it trained with another [model] configuration?", head.path.string(),
           record.tensor.name, fmt::join(record.tensor.shape, ", "));
    }
  }
  check(known == model, "check_names: {} of {}", known, model);
}

void fail_digest(const std::filesystem::path& file, const std::string& tensor) {
  fail(ErrorKind::data, "{}: tensor '{}' is damaged: its SHA-256 is not the manifest's; use another checkpoint", file.string(), tensor);
}

void read_moments(const TensorReader& reader, const ParameterLayout& layout, const char* group, std::int64_t offset, const at::Tensor& slice) {
  const std::int64_t end = offset + slice.numel();
  for (const ParameterEntry& entry : layout.entries) {
    const std::int64_t first = std::max(offset, entry.offset), last = std::min(end, entry.offset + entry.spec.count());
    if (!entry.spec.trainable || first >= last) continue;
    reader.read(named(group, entry), first - entry.offset, last - entry.offset, slice.data_ptr<float>() + (first - offset));
  }
}

// The optimizer's tensors, dealt to ranks: a slice's owner cannot check the digest of a tensor it holds a part of.
void verify_group(const Communicator& comm, const TensorReader& reader, const std::filesystem::path& file, const Manifest& manifest, std::string_view prefix) {
  std::int64_t number = 0;
  for (const TensorRecord& record : manifest.tensors) {
    if (!record.tensor.name.starts_with(prefix) || number++ % comm.size() != comm.rank()) continue;
    if (reader.digest(record.tensor) != record.digest) fail_digest(file, record.tensor.name);
  }
}

}  // namespace

std::string checkpoint_name(std::int64_t step) { return fmt::format("step-{:08d}", step); }

Manifest save_checkpoint(const Communicator& comm, const std::filesystem::path& run_dir, const std::string& name, const CheckpointSource& source) {
  check_source(source);
  on_root(comm, [&] {
    make_directories(run_dir);
    remove_temporaries(run_dir);
  });
  const std::filesystem::path staging = comm.broadcast(temporary_name(run_dir, name).string(), 0);
  try {
    Manifest manifest = write_staged(comm, staging, source);
    on_root(comm, [&] { publish(staging, run_dir / name); });
    return manifest;
  } catch (...) {
    std::error_code code;
    if (comm.rank() == 0) std::filesystem::remove_all(staging, code);
    throw;
  }
}

void copy_checkpoint(const Communicator& comm, const std::filesystem::path& run_dir, const std::string& from, const std::string& name) {
  on_root(comm, [&] {
    const auto staging = temporary_name(run_dir, name);
    try {
      make_directories(staging);
      for (const auto& entry : std::filesystem::directory_iterator(run_dir / from)) {
        std::error_code code;
        std::filesystem::create_hard_link(entry.path(), staging / entry.path().filename(), code);
        if (code) {
          std::filesystem::copy_file(entry.path(), staging / entry.path().filename());
          sync_path(staging / entry.path().filename());
        }
      }
      publish(staging, run_dir / name);
    } catch (const std::filesystem::filesystem_error& error) {
      std::error_code code;
      std::filesystem::remove_all(staging, code);
      fail(ErrorKind::io, "{}: cannot copy checkpoint {}: {}", (run_dir / name).string(), from, error.code().message());
    }
  });
}

void retain_newest(const Communicator& comm, const std::filesystem::path& run_dir, std::int64_t keep) {
  on_root(comm, [&] {
    std::int64_t kept = 0;
    for (const auto& entry : list_run(run_dir).checkpoints) {
      if (entry.path.filename() != "best" && ++kept > keep) remove_checkpoint(entry.path);
    }
  });
}

CheckpointHead open_checkpoint(const Communicator& comm, const std::filesystem::path& path) {
  return agreed(comm, [&] {
    CheckpointHead head;
    head.path = path;
    head.manifest = load_manifest(path);
    head.state = train_state_from_bytes(read_file(path / state_file), (path / state_file).string());
    head.config_toml = read_file(path / config_file);
    head.catalogue = load_catalogue(path);
    return head;
  });
}

std::vector<LoadedTensors> load_tensors(const Communicator& comm, const CheckpointHead& head, const ParameterLayout& layout,
                                        const std::vector<StageWish>& stages, bool moments) {
  return agreed(comm, [&] {
    check_names(head, layout, moments);
    const auto file = head.path / tensors_file;
    const TensorReader reader(file);
    std::vector<LoadedTensors> result;
    for (const StageWish& wish : stages) {
      LoadedTensors& loaded = result.emplace_back();
      loaded = {make_arena(wish.layout, at::kFloat), {wish.offset, at::zeros({wish.count}, at::kFloat), at::zeros({wish.count}, at::kFloat)}};
      for (const ParameterEntry& entry : wish.layout.entries) {
        float* values = loaded.parameters.data_ptr<float>() + entry.offset;
        reader.read(named(model_group, entry), 0, entry.spec.count(), values);
        if (digest_of(values, entry.spec.count()) != expect_tensor(head, named(model_group, entry)).digest) fail_digest(file, model_group + entry.spec.name);
      }
      if (!moments) continue;
      read_moments(reader, wish.layout, first_group, wish.offset, loaded.moments.first);
      read_moments(reader, wish.layout, second_group, wish.offset, loaded.moments.second);
    }
    if (moments) verify_group(comm, reader, file, head.manifest, "optimizer/");
    return result;
  });
}

void verify_tensors(const Communicator& comm, const std::filesystem::path& path, const Manifest& manifest) {
  agreed(comm, [&] { verify_group(comm, TensorReader(path / tensors_file), path / tensors_file, manifest, ""); });
}

}  // namespace tributary
