// Reads consecutive rows of a part. Not thread-safe by itself; every HDF5 call of the process is under hdf5_lock().
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "shards/catalogue.h"
#include "shards/record_block.h"

namespace tributary {

// Which columns to load; ids, patient, split, presence and steps always come along.
struct FieldSelection {
  bool statics = true, series = true, tokens = true, text = false, images = true, labels = true;
};

// How a part's bytes are checked before first use.
enum class Verify { always, stamp, never };

class ShardReader {
 public:
  // Opens lazily: a part is opened (and verified) at its first read.
  ShardReader(std::filesystem::path directory, const Catalogue& catalogue, Verify verify);
  ~ShardReader();
  ShardReader(ShardReader&&) noexcept;

  // Rows [first, first + rows) of a part. Throws: Error{missing, data, io} with file, field and row.
  [[nodiscard]] RecordBlock read(int part, std::int64_t first, std::int64_t rows, const FieldSelection& fields);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary
