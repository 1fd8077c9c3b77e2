// Writes one part file, row slabs in ascending order, by one rank or by a team of ranks that write together.
#pragma once

#include <array>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/column_slab.h"
#include "shards/hdf5_file.h"
#include "shards/part_layout.h"

namespace tributary {

// Thrown on ranks of a team whose own work went well when another rank's did not: that rank carries the error.
class PeerFailed : public std::exception {};

// Collective over `team`: runs `work`, then every rank throws when any rank's work threw: its own exception, or PeerFailed.
template <class Work>
void together(const Communicator& team, Work&& work) {
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  if (team.size() > 1) {
    std::array<std::int64_t, 1> failed{failure ? 1 : 0};
    team.maximum(failed);
    if (failed[0] != 0 && !failure) throw PeerFailed();
  }
  if (failure) std::rethrow_exception(failure);
}

class PartWriter {
 public:
  // Collective over `team`, which must outlive the writer. Throws on all its ranks (see together): Error{cannot_create}, Error{io}.
  PartWriter(const Communicator& team, const std::filesystem::path& path, const std::vector<PartColumn>& columns, std::int64_t rows, std::int64_t chunk_rows,
             std::int64_t part_number);
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  // Collective over `team`: the slabs of a round stand in rank order; each but the part's last begins and ends on a chunk border. A rank without rows gives
  // an empty slab.
  void write(const ColumnSlab& slab);

  // Collective over `team`: digests as attributes, then closes. Returns the content digest of each column.
  std::vector<std::string> finish();

 private:
  struct Share {  // of a round: where this rank's elements begin and how many all ranks have
    std::array<std::int64_t, axis_count> before{}, total{};
  };
  Share share_round(const ColumnSlab& slab);
  void write_column(std::size_t column, const ColumnSlab& slab, const Share& share);

  const Communicator& team_;
  const std::vector<PartColumn>& columns_;
  std::int64_t rows_, chunk_rows_;
  std::array<std::int64_t, axis_count> written_{};  // elements of each axis in earlier rounds
  ContentDigest digest_;
  std::optional<Hdf5File> file_;
  std::vector<Hdf5Dataset> datasets_;
};

}  // namespace tributary
