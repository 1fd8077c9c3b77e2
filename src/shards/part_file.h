// One part opened for reading: columns by row range, checked against the catalogue.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "shards/catalogue.h"
#include "shards/column_slab.h"
#include "shards/hdf5_file.h"
#include "shards/part_layout.h"

namespace tributary {

struct ItemRange {  // [first, last) of an axis
  std::int64_t first = 0, last = 0;
  [[nodiscard]] std::int64_t size() const { return last - first; }
};

class PartFile {
 public:
  // Throws: Error{missing}, Error{data} when version, rows, fields, shapes or types are not those of the catalogue.
  PartFile(const std::filesystem::path& path, const Catalogue& catalogue, int part);

  [[nodiscard]] const std::vector<PartColumn>& columns() const { return columns_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] bool has(Field field) const;

  // Elements [range.first, range.last) of a column into `out`, which has room for them.
  void read(Field field, std::size_t number, ItemRange range, std::span<std::byte> out) const;
  // Offsets of elements [range.first, range.last] of the axis they stand on; counted from 0 at range.first. `into` receives where they point.
  [[nodiscard]] std::vector<std::int64_t> offsets(Field field, ItemRange range, ItemRange& into) const;
  // All columns of some rows as they stand in the file.
  [[nodiscard]] ColumnSlab slab(std::int64_t first_row, std::int64_t rows) const;
  [[nodiscard]] std::string stored_digest(std::size_t column) const { return datasets_[column].text_attribute("content_digest"); }

 private:
  [[nodiscard]] std::size_t index_of(Field field, std::size_t number) const;
  Hdf5File file_;
  std::int64_t rows_;
  std::vector<PartColumn> columns_;
  std::vector<Hdf5Dataset> datasets_;
};

// Rows to move at once: whole chunks of about 8 MiB.
[[nodiscard]] std::int64_t rows_at_once(const std::vector<PartColumn>& columns, std::int64_t chunk_rows);

// Content digest of every column of a part, computed from its rows.
[[nodiscard]] std::vector<std::string> content_digests(const PartFile& part, std::int64_t chunk_rows);

}  // namespace tributary
