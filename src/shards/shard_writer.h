// Writes a data set directory with parallel HDF5: the same logical content for any number of ranks.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "shards/record_block.h"

namespace tributary {

// Where records come from. Rows of a part are numbered as they will stand in it: train, validation, test; inside a split by patient hash, then id.
// Memory: the writer asks for at most a few chunks of rows at a time, in ascending order on each rank.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  [[nodiscard]] virtual const Schema& schema() const = 0;
  [[nodiscard]] virtual std::vector<std::array<std::int64_t, split_count>> part_rows() const = 0;  // one entry a part
  [[nodiscard]] virtual RecordBlock records(int part, std::int64_t first, std::int64_t rows) = 0;
};

struct WriteOptions {
  std::int64_t chunk_rows = 64;
  std::string split_salt;
  std::string origin;
  std::vector<std::string> vocabulary;  // of the token columns; empty without notes
  std::string tokenizer_digest;
  const Normalisation* normalisation = nullptr;  // given (--like) instead of fitted on the training rows
  TokenizerOptions tokenizer;                    // of the token columns
};

// Collective: all ranks of `comm`. Parts are dealt to ranks; with more ranks than parts a sub-communicator writes each part, its ranks' slices ending on
// chunk borders. Everything is staged in `<directory>.building-<pid of rank 0>` and renamed at the end.
// Throws on all ranks together: Error{cannot_create} when the directory exists and is not empty, Error{data} (NaN, label outside the map: field, record),
// Error{io}. Nothing is left under the final name.
Catalogue write_shards(const Communicator& comm, RecordSource& source, const std::filesystem::path& directory, const WriteOptions& options);

}  // namespace tributary
