// The run directory: which checkpoints stand in it, and changes of names that leave the old or the new one, never neither.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

struct RunListing {
  struct Entry {
    std::filesystem::path path;
    std::int64_t step = 0;
  };
  struct Skipped {
    std::filesystem::path path;
    std::string reason;
  };
  std::vector<Entry> checkpoints;  // whole as far as manifest, sizes and small digests tell; by step, highest first; equal steps: `step-*` before others
  std::vector<Skipped> skipped;    // unfinished or damaged
};

// Looks into every folder with a name of a checkpoint (step-<digits>, best). An absent run directory is an empty one.
[[nodiscard]] RunListing list_run(const std::filesystem::path& run_dir);

// Rank 0 lists, all ranks get the same. Collective. Throws on all ranks together.
[[nodiscard]] RunListing list_run(const Communicator& comm, const std::filesystem::path& run_dir);

// A checkpoint itself, or the newest of a run directory. Throws: Error{missing} with what was skipped and why.
[[nodiscard]] std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

// `staging` becomes `target`; what stood there before is removed afterwards. Both in one folder. Names are exchanged in one step where the file system can;
// elsewhere the old one stands as .tmp-old-<name>-<pid> for a moment, from where remove_temporaries() puts it back should the program end there.
// Throws: Error{io}.
void publish(const std::filesystem::path& staging, const std::filesystem::path& target);

// Renamed to a temporary name first, so that what is half removed never looks like a checkpoint. Throws: Error{io}.
void remove_checkpoint(const std::filesystem::path& path);

// Removes .tmp-*, but first puts back a whole checkpoint that publish() had moved aside when it was cut off.
void remove_temporaries(const std::filesystem::path& run_dir);
[[nodiscard]] std::filesystem::path temporary_name(const std::filesystem::path& run_dir, const std::string& name);

}  // namespace tributary
