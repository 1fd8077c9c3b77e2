// Whether the bytes of a data set are those its catalogue tells of.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "shards/shard_reader.h"

namespace tributary {

// Before first use of a part. `stamp`: a file `<part>.verified` beside it (or in `stamp_directory`) tells that the same inode, size and time of change had
// the right digest; without one the part is verified and stamped.
// Throws: Error{missing}, Error{data} naming the first bad block of 16 MiB, Error{io}.
void verify_part(const std::filesystem::path& directory, const PartInfo& part, Verify verify, const std::filesystem::path& stamp_directory = {});

struct PartFault {
  std::string file;
  std::string what;
};

// Everything: size, digests of blocks, content digests of every field, of every part. Returns the first fault of each part that has one.
// Collective: all ranks of `comm`; parts are dealt to ranks, every rank gets the list.
[[nodiscard]] std::vector<PartFault> verify_data_set(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue);

}  // namespace tributary
