#include "shards/part_writer.h"

#include <cstring>
#include <numeric>

#include "base/error.h"
#include "shards/catalogue.h"

namespace tributary {
namespace {

bool is_growable(const PartColumn& column) { return column.axis != Axis::record; }

DatasetLayout layout_of(const PartColumn& column, std::int64_t rows, std::int64_t chunk_rows) {
  DatasetLayout layout;
  layout.type = column.type;
  layout.growable = is_growable(column);
  layout.dims = {layout.growable ? 0 : rows + (column.offsets_into ? 1 : 0)};
  layout.dims.insert(layout.dims.end(), column.inner.begin(), column.inner.end());
  layout.chunk = chunk_of(column, chunk_rows);
  return layout;
}

Hyperslab slab_at(const PartColumn& column, std::int64_t first, std::int64_t count) {
  Hyperslab slab{{first}, {count}};
  for (const std::int64_t dim : column.inner) {
    slab.start.push_back(0);
    slab.count.push_back(dim);
  }
  return slab;
}

// When the disk is full in a collective call, HDF5 leaves ranks that did not meet the failure in a barrier for ever. So a team asks before it writes.
void need_space(const std::filesystem::path& path, std::int64_t bytes) {
  constexpr std::int64_t margin_bytes = 2 << 20;
  std::error_code code;
  const std::filesystem::space_info space = std::filesystem::space(path.parent_path(), code);
  if (!code && space.available < static_cast<std::uintmax_t>(bytes + margin_bytes))
    fail(ErrorKind::io, "{}: {} bytes free, {} needed for the next rows; free some space or choose another folder", path.string(), space.available,
         bytes + margin_bytes);
}

// Most that the columns can take for so many bytes of content: each started chunk is written whole.
std::int64_t growth_bytes(const std::vector<PartColumn>& columns, std::int64_t chunk_rows, bool growable) {
  std::int64_t bytes = 0;
  for (const PartColumn& column : columns)
    if (is_growable(column) == growable) bytes += 2 * chunk_of(column, chunk_rows)[0] * column.item_bytes();
  return bytes;
}

}  // namespace

PartWriter::PartWriter(const Communicator& team, const std::filesystem::path& path, const std::vector<PartColumn>& columns, std::int64_t rows,
                       std::int64_t chunk_rows, std::int64_t part_number)
    : team_(team), columns_(columns), rows_(rows), chunk_rows_(chunk_rows), digest_(columns.size()) {
  together(team_, [&] {  // the chunks of datasets by record are written, empty, when these are made
    std::int64_t bytes = growth_bytes(columns_, chunk_rows, false);
    for (const PartColumn& column : columns_) bytes += is_growable(column) ? 0 : rows * column.item_bytes();
    if (team_.size() > 1) need_space(path, bytes);
  });
  together(team_, [&] { file_.emplace(Hdf5File::create(path, &team_)); });
  together(team_, [&] {
    file_->set_attribute("format", "tributary-shard");
    file_->set_attribute("format_version", shard_format_version);
    file_->set_attribute("part", part_number);
    file_->set_attribute("rows", rows);
    file_->set_attribute("chunk_rows", chunk_rows);
    for (const PartColumn& column : columns_) datasets_.push_back(file_->create_dataset(column.path, layout_of(column, rows, chunk_rows)));
  });
}

// A team that failed is out of step: closing together is over.
PartWriter::~PartWriter() {
  if (file_ && team_.size() > 1) file_->abandon();
}

PartWriter::Share PartWriter::share_round(const ColumnSlab& slab) {
  std::array<std::int64_t, axis_count> own{};
  for (int a = 0; a < axis_count; ++a) own[static_cast<std::size_t>(a)] = slab.items(static_cast<Axis>(a));
  const std::vector<DigestBytes> digests = block_digests(columns_, slab, chunk_rows_);
  Share share;
  if (team_.size() == 1) {
    digest_.add(digests);
    share.total = own;
    return share;
  }
  std::string message(sizeof(own) + digests.size() * sizeof(DigestBytes), '\0');
  std::memcpy(message.data(), own.data(), sizeof(own));
  if (!digests.empty()) std::memcpy(message.data() + sizeof(own), digests.data(), digests.size() * sizeof(DigestBytes));
  const std::vector<std::string> messages = team_.all_gather(message);
  for (int rank = 0; rank < team_.size(); ++rank) {
    const std::string& from = messages[static_cast<std::size_t>(rank)];
    std::array<std::int64_t, axis_count> counts{};
    std::memcpy(counts.data(), from.data(), sizeof(counts));
    std::vector<DigestBytes> blocks((from.size() - sizeof(counts)) / sizeof(DigestBytes));
    if (!blocks.empty()) std::memcpy(blocks.data(), from.data() + sizeof(counts), blocks.size() * sizeof(DigestBytes));
    digest_.add(blocks);
    for (std::size_t a = 0; a < counts.size(); ++a) {
      share.before[a] += rank < team_.rank() ? counts[a] : 0;
      share.total[a] += counts[a];
    }
  }
  return share;
}

void PartWriter::write_column(std::size_t c, const ColumnSlab& slab, const Share& share) {
  const PartColumn& column = columns_[c];
  const auto axis = static_cast<std::size_t>(column.axis);
  const std::int64_t extra = column.offsets_into ? 1 : 0, extent = written_[axis] + share.total[axis] + extra;
  if (is_growable(column) && extent > datasets_[c].dims()[0]) datasets_[c].extend(extent);
  std::int64_t first = written_[axis] + share.before[axis], count = slab.items(column.axis);
  if (!column.offsets_into) {
    datasets_[c].write(slab_at(column, first, count), slab.bytes[c], Transfer::collective);
    return;
  }
  const auto into = static_cast<std::size_t>(*column.offsets_into);
  const bool leads = written_[axis] == 0 && team_.rank() == 0 && datasets_[c].dims()[0] > 0;  // the first element's 0 goes with it
  std::vector<std::int64_t> ends(static_cast<std::size_t>(count) + 1, written_[into] + share.before[into]);
  if (count > 0) std::memcpy(ends.data() + 1, slab.bytes[c].data(), static_cast<std::size_t>(count) * sizeof(std::int64_t));
  std::inclusive_scan(ends.begin(), ends.end(), ends.begin());
  const auto bytes = std::as_bytes(std::span(ends)).subspan(leads ? 0 : sizeof(std::int64_t));
  datasets_[c].write(slab_at(column, leads ? first : first + 1, leads ? count + 1 : count), bytes, Transfer::collective);
}

void PartWriter::write(const ColumnSlab& slab) {
  const Share share = share_round(slab);
  if (team_.size() > 1) {
    together(team_, [&] {
      std::int64_t bytes = growth_bytes(columns_, chunk_rows_, true);
      for (const PartColumn& column : columns_)
        if (is_growable(column)) bytes += share.total[static_cast<std::size_t>(column.axis)] * column.item_bytes();
      need_space(file_->name(), bytes);
    });
  }
  for (std::size_t c = 0; c < columns_.size(); ++c) together(team_, [&] { write_column(c, slab, share); });
  for (std::size_t a = 0; a < written_.size(); ++a) written_[a] += share.total[a];
}

std::vector<std::string> PartWriter::finish() {
  check(written_[0] == rows_, "part has {} rows, {} were written", rows_, written_[0]);
  const std::vector<std::string> digests = digest_.finish();
  together(team_, [&] {
    for (std::size_t c = 0; c < columns_.size(); ++c) datasets_[c].set_attribute("content_digest", digests[c]);
  });
  together(team_, [&] {
    datasets_.clear();
    file_->close();
  });
  file_.reset();
  return digests;
}

}  // namespace tributary
