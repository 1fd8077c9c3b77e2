// The parts of a data set, written into a directory by all ranks; how they become a data set is the caller's business.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "shards/shard_writer.h"

namespace tributary {

// Collective: all ranks of `comm`. Writes the parts under `files` (one name a part), reads each back and compares its content digests, fsyncs it.
// Returns the catalogue, not yet saved. Throws on all ranks together; files may be left behind then.
[[nodiscard]] Catalogue write_parts(const Communicator& comm, RecordSource& source, const std::filesystem::path& directory,
                                    const std::vector<std::string>& files, const WriteOptions& options);

// "part-00007.h5", "part-00007-<tag>.h5"
[[nodiscard]] std::string part_file_name(std::size_t part, const std::string& tag = {});

}  // namespace tributary
