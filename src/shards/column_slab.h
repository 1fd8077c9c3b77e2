// Some rows of a part as one run of bytes a column: the form in which rows are digested and written, whether they come from a source or from a file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"
#include "shards/part_layout.h"
#include "shards/record_block.h"

namespace tributary {

struct ColumnSlab {
  std::int64_t rows = 0;
  std::vector<std::span<const std::byte>> bytes;                   // [columns]; offsets stand as lengths: int64, one an element of their axis
  std::array<std::vector<std::int64_t>, axis_count> first_item{};  // [axis][rows + 1]: where each row's elements begin, counted from the slab's first
  std::vector<std::vector<std::byte>> owned;                       // storage of what is derived
  [[nodiscard]] std::int64_t items(Axis axis) const { return first_item[static_cast<std::size_t>(axis)].back(); }
};

// Views into `block`, which must outlive the slab; the index columns are derived from it.
[[nodiscard]] ColumnSlab slab_of(const Schema& schema, const std::vector<PartColumn>& columns, const RecordBlock& block);
// Where each row's elements of every axis begin. offsets[axis]: one entry an element of its parent, and the end; empty where there are none.
[[nodiscard]] std::array<std::vector<std::int64_t>, axis_count> first_items(std::int64_t rows,
                                                                            const std::array<std::vector<std::int64_t>, axis_count>& offsets);

// SHA-256 of each column of each block of chunk_rows rows: [blocks][columns]. The slab begins on a block border.
[[nodiscard]] std::vector<DigestBytes> block_digests(const std::vector<PartColumn>& columns, const ColumnSlab& slab, std::int64_t chunk_rows);

// Content digests of a part: per column SHA-256 over its block digests in row order.
class ContentDigest {
 public:
  explicit ContentDigest(std::size_t columns) : columns_(columns) {}
  void add(std::span<const DigestBytes> blocks);    // [blocks][columns]
  [[nodiscard]] std::vector<std::string> finish();  // hex, one a column; once

 private:
  std::vector<Sha256> columns_;
};

// SHA-256 over the lines "<path> <digest>\n" in ascending order of path.
[[nodiscard]] std::string part_content_digest(const std::vector<PartColumn>& columns, const std::vector<std::string>& column_digests);
// SHA-256 over the lines "<part number> <digest>\n".
[[nodiscard]] std::string data_set_content_digest(const std::vector<std::string>& part_digests);

}  // namespace tributary
