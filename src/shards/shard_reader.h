// Reads consecutive rows of a part. Not thread-safe by itself; every HDF5 call of the process is under hdf5_lock().
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "shards/catalogue.h"
#include "shards/record_block.h"

namespace tributary {

// Which columns to load; ids, patient, split, presence and steps always come along. Columns that are not selected, or that the data set lacks, are empty
// vectors (series and labels keep one entry a group and task); note offsets and hours come with tokens or text. Entities: concepts, mentions and, with the
// labels, relations; the mentions' tokens come with tokens.
struct FieldSelection {
  bool statics = true, series = true, tokens = true, text = false, images = true, labels = true, entities = true;
};

// How a part's bytes are checked before first use.
enum class Verify { always, stamp, never };

class ShardReader {
 public:
  // Opens lazily: a part is opened (and verified) at its first read; the parts used last stay open. Keeps a copy of the catalogue.
  // `stamp_directory`: where stamps go when the data set's own folder cannot be written; empty: then every reader verifies again.
  ShardReader(std::filesystem::path directory, const Catalogue& catalogue, Verify verify, std::filesystem::path stamp_directory = {});
  ~ShardReader();
  ShardReader(ShardReader&&) noexcept;

  // Rows [first, first + rows) of a part. Throws: Error{missing, data, io} with file, field and row.
  [[nodiscard]] RecordBlock read(int part, std::int64_t first, std::int64_t rows, const FieldSelection& fields);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary
