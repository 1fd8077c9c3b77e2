#include "shards/part_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace tributary {
namespace {

constexpr std::int64_t least_cache_bytes = 128 << 10;
constexpr std::int64_t slab_bytes = 8 << 20;

std::int64_t cache_bytes(const PartColumn& column, std::int64_t chunk_rows) {
  return std::max(least_cache_bytes, chunk_of(column, chunk_rows)[0] * column.item_bytes());
}

Hyperslab slab_at(const PartColumn& column, ItemRange range) {
  Hyperslab slab{{range.first}, {range.size()}};
  for (const std::int64_t dim : column.inner) {
    slab.start.push_back(0);
    slab.count.push_back(dim);
  }
  return slab;
}

void check_dataset(const Hdf5File& file, const PartColumn& column, const Hdf5Dataset& dataset, std::int64_t rows) {
  Extent expected{column.axis == Axis::record ? rows + (column.offsets_into ? 1 : 0) : dataset.dims()[0]};
  expected.insert(expected.end(), column.inner.begin(), column.inner.end());
  if (dataset.type() != column.type)
    fail(ErrorKind::data, "{}: {} holds {}, the catalogue says {}", file.name(), column.path, name_of(dataset.type()), name_of(column.type));
  if (dataset.dims() != expected)
    fail(ErrorKind::data, "{}: {} has shape [{}], the catalogue says [{}]", file.name(), column.path, fmt::join(dataset.dims(), ", "),
         fmt::join(expected, ", "));
}

}  // namespace

PartFile::PartFile(const std::filesystem::path& path, const Catalogue& catalogue, int part)
    : file_(Hdf5File::open(path)),
      rows_(catalogue.parts[static_cast<std::size_t>(part)].total_rows()),
      columns_(part_columns(catalogue.schema, catalogue.tokenizer_digest)) {
  if (const std::int64_t version = file_.integer_attribute("format_version"); version != shard_format_version)
    fail(ErrorKind::data, "{}: format version {}; this program reads version {}: build the data set again", file_.name(), version, shard_format_version);
  if (const std::int64_t rows = file_.integer_attribute("rows"); rows != rows_)
    fail(ErrorKind::data, "{}: has {} rows, the catalogue says {}", file_.name(), rows, rows_);
  if (const std::int64_t number = file_.integer_attribute("part"); number != part)
    fail(ErrorKind::data, "{}: is part {} of its data set, the catalogue names it as part {}", file_.name(), number, part);
  for (const PartColumn& column : columns_) {
    datasets_.push_back(file_.open_dataset(column.path, cache_bytes(column, catalogue.chunk_rows)));
    check_dataset(file_, column, datasets_.back(), rows_);
  }
}

std::size_t PartFile::index_of(Field field, std::size_t number) const {
  const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const PartColumn& c) { return c.field == field && c.number == number; });
  check(found != columns_.end(), "{}: column {} of {} is not in the schema", file_.name(), static_cast<int>(field), number);
  return static_cast<std::size_t>(found - columns_.begin());
}

bool PartFile::has(Field field) const {
  return std::any_of(columns_.begin(), columns_.end(), [&](const PartColumn& c) { return c.field == field; });
}

void PartFile::read(Field field, std::size_t number, ItemRange range, std::span<std::byte> out) const {
  const std::size_t c = index_of(field, number);
  const std::int64_t item_bytes = columns_[c].item_bytes(), at_once = std::max<std::int64_t>(1, hdf5_transfer_limit_bytes / item_bytes);
  if (range.last > datasets_[c].dims()[0])
    fail(ErrorKind::data, "{}: {} has {} elements, its offsets point to {}", file_.name(), columns_[c].path, datasets_[c].dims()[0], range.last);
  for (std::int64_t first = range.first; first < range.last; first += at_once) {
    const ItemRange piece{first, std::min(first + at_once, range.last)};
    datasets_[c].read(slab_at(columns_[c], piece),
                      out.subspan(static_cast<std::size_t>((first - range.first) * item_bytes), static_cast<std::size_t>(piece.size() * item_bytes)));
  }
}

std::vector<std::int64_t> PartFile::offsets(Field field, ItemRange range, ItemRange& into) const {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(range.size()) + 1);
  read(field, 0, {range.first, range.last + 1}, std::as_writable_bytes(std::span(offsets)));
  into = {offsets.front(), offsets.back()};
  const std::int64_t first = offsets.front();
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i] < (i == 0 ? 0 : offsets[i - 1] + first))
      fail(ErrorKind::data, "{}: {} is not ascending at {}", file_.name(), columns_[index_of(field, 0)].path, range.first + static_cast<std::int64_t>(i));
    offsets[i] -= first;
  }
  return offsets;
}

ColumnSlab PartFile::slab(std::int64_t first_row, std::int64_t rows) const {
  ColumnSlab slab;
  slab.rows = rows;
  std::array<ItemRange, axis_count> ranges{};
  std::array<std::vector<std::int64_t>, axis_count> offsets{};  // of each ragged axis, one entry an element of its parent
  const auto at = [](Axis axis) { return static_cast<std::size_t>(axis); };
  ranges[at(Axis::record)] = {first_row, first_row + rows};
  for (int a = 1; a < axis_count; ++a) {
    const auto axis = static_cast<Axis>(a);
    if (has(offsets_of(axis))) offsets[at(axis)] = this->offsets(offsets_of(axis), ranges[at(parent_of(axis))], ranges[at(axis)]);
  }
  slab.first_item = first_items(rows, offsets);
  for (const PartColumn& column : columns_) {
    const ItemRange range = ranges[at(column.axis)];
    auto& bytes = slab.owned.emplace_back(static_cast<std::size_t>(range.size() * column.item_bytes()));
    if (column.offsets_into) {
      std::vector<std::int64_t> lengths = offsets[at(*column.offsets_into)];
      for (std::size_t i = 0; i + 1 < lengths.size(); ++i) lengths[i] = lengths[i + 1] - lengths[i];
      if (!bytes.empty()) std::memcpy(bytes.data(), lengths.data(), bytes.size());
    } else {
      read(column.field, column.number, range, bytes);
    }
    slab.bytes.emplace_back(bytes);
  }
  return slab;
}

std::int64_t rows_at_once(const std::vector<PartColumn>& columns, std::int64_t chunk_rows) {
  std::int64_t row_bytes = 0;
  for (const PartColumn& column : columns) row_bytes += column.axis == Axis::record ? column.item_bytes() : 512;
  return chunk_rows * std::clamp<std::int64_t>(slab_bytes / (row_bytes * chunk_rows), 1, 32);
}

std::vector<std::string> content_digests(const PartFile& part, std::int64_t chunk_rows) {
  ContentDigest digest(part.columns().size());
  const std::int64_t at_once = rows_at_once(part.columns(), chunk_rows);
  for (std::int64_t first = 0; first < part.rows(); first += at_once)
    digest.add(block_digests(part.columns(), part.slab(first, std::min(at_once, part.rows() - first)), chunk_rows));
  return digest.finish();
}

}  // namespace tributary
