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

struct PartIndex {
  std::vector<IndexRow> rows;
  EntityIndex entities;
};

template <class Value>
void load(const PartFile& part, Field field, std::vector<IndexRow>& rows, Value IndexRow::*member) {
  std::vector<Value> values(rows.size());
  part.read(field, 0, {0, part.rows()}, std::as_writable_bytes(std::span(values)));
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r].*member = values[r];
}

EntityIndex read_entities(const PartFile& part, std::size_t relation_tasks) {
  EntityIndex index;
  const auto rows = static_cast<std::size_t>(part.rows());
  const auto column = [&](Field field, std::size_t width) {
    std::vector<std::uint32_t> values(rows * width);
    part.read(field, 0, {0, part.rows()}, std::as_writable_bytes(std::span(values)));
    return values;
  };
  const std::vector<std::uint32_t> concepts = column(Field::concepts, 1), mentions = column(Field::mentions, 1);
  for (std::size_t r = 0; r < rows; ++r) index.counts.push_back({concepts[r], mentions[r]});
  if (relation_tasks == 0) return index;
  const std::vector<std::uint32_t> pairs = column(Field::pairs, relation_tasks), related = column(Field::related, relation_tasks);
  for (std::size_t i = 0; i < pairs.size(); ++i) index.pairs.push_back({pairs[i], related[i]});
  return index;
}

PartIndex read_part(const std::filesystem::path& directory, const Catalogue& catalogue, int number, Verify verify,
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
  PartIndex index{std::move(rows), {}};
  if (catalogue.schema.has_entities()) index.entities = read_entities(part, catalogue.schema.relation_tasks().size());
  return index;
}

}  // namespace

RecordIndex::RecordIndex(const Catalogue& catalogue, std::vector<std::vector<IndexRow>> parts, std::vector<EntityIndex> entities)
    : parts_(std::move(parts)), entities_(std::move(entities)), relation_tasks_(catalogue.schema.relation_tasks().size()), chunk_rows_(catalogue.chunk_rows) {
  check(parts_.size() == catalogue.parts.size(), "index of {} parts for a catalogue of {}", parts_.size(), catalogue.parts.size());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    rows_.push_back(catalogue.parts[p].rows);
    check(static_cast<std::int64_t>(parts_[p].size()) == catalogue.parts[p].total_rows(), "index of part {} has {} rows, the catalogue says {}", p,
          parts_[p].size(), catalogue.parts[p].total_rows());
  }
  if (!catalogue.schema.has_entities()) return;
  check(entities_.size() == parts_.size(), "index of {} parts with entities of {}", parts_.size(), entities_.size());
  for (std::size_t p = 0; p < parts_.size(); ++p)
    check(entities_[p].counts.size() == parts_[p].size() && entities_[p].pairs.size() == parts_[p].size() * relation_tasks_,
          "index of part {}: {} rows, {} counts of entities, {} of pairs", p, parts_[p].size(), entities_[p].counts.size(), entities_[p].pairs.size());
}

EntityCounts RecordIndex::entities(const RecordPlace& place) const {
  return entities_.empty() ? EntityCounts{} : entities_[static_cast<std::size_t>(place.part)].counts[static_cast<std::size_t>(place.row)];
}

const PairCounts& RecordIndex::pairs(const RecordPlace& place, std::size_t relation) const {
  check(relation < relation_tasks_, "relation task {} of {}", relation, relation_tasks_);
  return entities_[static_cast<std::size_t>(place.part)].pairs[static_cast<std::size_t>(place.row) * relation_tasks_ + relation];
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
  const std::size_t relation_tasks = catalogue.schema.relation_tasks().size();
  std::vector<std::vector<IndexRow>> parts(catalogue.parts.size());
  std::vector<EntityIndex> entities(catalogue.schema.has_entities() ? parts.size() : 0);
  agreed(comm, [&] {
    for (auto p = static_cast<std::size_t>(comm.rank()); p < parts.size(); p += static_cast<std::size_t>(comm.size())) {
      PartIndex own = read_part(directory, catalogue, static_cast<int>(p), verify, stamp_directory);
      parts[p] = std::move(own.rows);
      if (!entities.empty()) entities[p] = std::move(own.entities);
    }
  });
  for (int p = 0; p < count; ++p) {
    const auto part = static_cast<std::size_t>(p);
    const auto share = [&](auto& values, std::size_t size) {
      values.resize(size);
      comm.broadcast(std::as_writable_bytes(std::span(values)), p % comm.size());
    };
    const auto rows = static_cast<std::size_t>(catalogue.parts[part].total_rows());
    share(parts[part], rows);
    if (entities.empty()) continue;
    share(entities[part].counts, rows);
    share(entities[part].pairs, rows * relation_tasks);
  }
  return {catalogue, std::move(parts), std::move(entities)};
}

}  // namespace tributary
