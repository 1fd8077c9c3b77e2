#include "shards/shard_writer.h"

#include "comm/agree.h"
#include "shards/part_set.h"
#include "shards/staging.h"

namespace tributary {

Catalogue write_shards(const Communicator& comm, RecordSource& source, const std::filesystem::path& directory, const WriteOptions& options) {
  const bool first = comm.rank() == 0;
  const std::string staging_name = agreed(comm, [&]() -> std::string {
    if (!first) return {};
    refuse_existing(directory);
    return make_staging(directory).string();
  });
  const std::filesystem::path staging = comm.broadcast(staging_name, 0);
  try {
    const std::size_t parts = agreed(comm, [&] { return source.part_rows().size(); });
    std::vector<std::string> files;
    for (std::size_t p = 0; p < parts; ++p) files.push_back(part_file_name(p));
    Catalogue catalogue = write_parts(comm, source, staging, files, options);
    agreed(comm, [&] {
      if (!first) return;
      save_catalogue(staging, catalogue);
      commit_staging(staging, directory);
    });
    return catalogue;
  } catch (...) {
    if (first) remove_quietly(staging);
    throw;
  }
}

}  // namespace tributary
