#include "shards/record_index.h"

#include <cstring>
#include <numeric>
#include <span>
#include <string>

#include "base/error.h"
#include "comm/agree.h"
#include "shards/part_file.h"
#include "shards/verification.h"

namespace tributary {
namespace {

static_assert(sizeof(IndexRow) == 24);

template <class Value>
void load(const PartFile& part, Field field, std::vector<IndexRow>& rows, Value IndexRow::*member) {
  std::vector<Value> values(rows.size());
  part.read(field, 0, {0, part.rows()}, std::as_writable_bytes(std::span(values)));
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r].*member = values[r];
}

std::vector<IndexRow> read_part(const std::filesystem::path& directory, const Catalogue& catalogue, int number, Verify verify,
                                const std::filesystem::path& stamp_directory) {
  const PartInfo& info = catalogue.parts[static_cast<std::size_t>(number)];
  verify_part(directory, info, verify, stamp_directory);
  const auto lock = hdf5_lock();
  const PartFile part(directory / info.file, catalogue, number);
  std::vector<IndexRow> rows(static_cast<std::size_t>(part.rows()));
  load(part, Field::labels_valid, rows, &IndexRow::labels_valid);
  load(part, Field::tokens, rows, &IndexRow::tokens);
  load(part, Field::longest_note, rows, &IndexRow::longest_note);
  load(part, Field::notes, rows, &IndexRow::notes);
  load(part, Field::steps, rows, &IndexRow::steps);
  load(part, Field::presence, rows, &IndexRow::presence);
  load(part, Field::split, rows, &IndexRow::split);
  std::int64_t row = 0;
  for (int split = 0; split < split_count; ++split)
    for (std::int64_t i = 0; i < info.rows[static_cast<std::size_t>(split)]; ++i, ++row)
      if (rows[static_cast<std::size_t>(row)].split != split)
        fail(ErrorKind::data, "{}: row {}: split is {}, the catalogue says {}", (directory / info.file).string(), row,
             rows[static_cast<std::size_t>(row)].split, split);
  return rows;
}

}  // namespace

RecordIndex::RecordIndex(const Catalogue& catalogue, std::vector<std::vector<IndexRow>> parts) : parts_(std::move(parts)), chunk_rows_(catalogue.chunk_rows) {
  check(parts_.size() == catalogue.parts.size(), "index of {} parts for a catalogue of {}", parts_.size(), catalogue.parts.size());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    rows_.push_back(catalogue.parts[p].rows);
    check(static_cast<std::int64_t>(parts_[p].size()) == catalogue.parts[p].total_rows(), "index of part {} has {} rows, the catalogue says {}", p,
          parts_[p].size(), catalogue.parts[p].total_rows());
  }
}

std::int64_t RecordIndex::rows(Split split) const {
  return std::accumulate(rows_.begin(), rows_.end(), std::int64_t{0},
                         [&](std::int64_t sum, const auto& rows) { return sum + rows[static_cast<std::size_t>(split)]; });
}

std::int64_t RecordIndex::first_row(int part, Split split) const {
  const auto& rows = rows_[static_cast<std::size_t>(part)];
  return std::accumulate(rows.begin(), rows.begin() + static_cast<int>(split), std::int64_t{0});
}

RecordIndex load_index(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue, Verify verify,
                       const std::filesystem::path& stamp_directory) {
  const int count = static_cast<int>(catalogue.parts.size());
  std::vector<std::vector<IndexRow>> parts(catalogue.parts.size());
  agreed(comm, [&] {
    for (int p = comm.rank(); p < count; p += comm.size()) parts[static_cast<std::size_t>(p)] = read_part(directory, catalogue, p, verify, stamp_directory);
  });
  for (int p = 0; p < count; ++p) {
    auto& rows = parts[static_cast<std::size_t>(p)];
    rows.resize(static_cast<std::size_t>(catalogue.parts[static_cast<std::size_t>(p)].total_rows()));
    comm.broadcast(std::as_writable_bytes(std::span(rows)), p % comm.size());
  }
  return {catalogue, std::move(parts)};
}

}  // namespace tributary
