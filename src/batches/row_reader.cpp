#include "batches/row_reader.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {

RowReader::RowReader(const RecordIndex& index, RowSource& source, std::int64_t window_rows) : index_(index), source_(source), window_rows_(window_rows) {
  check(window_rows >= 1, "RowReader: window of {} rows", window_rows);
}

std::pair<std::int64_t, std::int64_t> RowReader::block_of(const RecordPlace& place) const {
  const auto split = static_cast<Split>(index_.at(place).split);
  const std::int64_t begin = index_.first_row(place.part, split), end = begin + index_.rows(place.part, split);
  const std::int64_t chunk = place.row / index_.chunk_rows();
  return {std::max(begin, chunk * index_.chunk_rows()), std::min(end, (chunk + 1) * index_.chunk_rows())};
}

RowRef RowReader::take(Lane& lane, const RecordPlace& place, std::int64_t window) {
  const auto [first, last] = block_of(place);
  const BlockName name{place.part, first};
  auto found = lane.held.find(name);
  if (found == lane.held.end()) {
    auto block = std::make_shared<const RecordBlock>(source_.read(place.part, first, last - first));
    if (block->rows != last - first) fail(ErrorKind::data, "part {}: {} rows from row {} on, expected {}", place.part, block->rows, first, last - first);
    found = lane.held.emplace(name, Held{std::move(block), last - first, window}).first;
  }
  Held& held = found->second;
  held.last_window = window;
  RowRef row{place, held.block, place.row - first};
  if (--held.rows_left == 0) lane.held.erase(found);
  return row;
}

std::vector<RowRef> RowReader::read(const LeafPlan& leaf) {
  if (leaf.epoch != epoch_) {
    lanes_.clear();
    epoch_ = leaf.epoch;
  }
  check(leaf.origins.size() == leaf.rows.size(), "RowReader: {} rows of {} origins", leaf.rows.size(), leaf.origins.size());
  std::vector<RowRef> rows;
  rows.reserve(leaf.rows.size());
  for (std::size_t i = 0; i < leaf.rows.size(); ++i) {
    Lane& lane = lanes_[leaf.origins[i].lane];
    const std::int64_t window = leaf.origins[i].position / window_rows_;
    if (window != lane.window) {
      std::erase_if(lane.held, [&](const auto& entry) { return entry.second.last_window + 1 < window; });
      lane.window = window;
    }
    rows.push_back(take(lane, leaf.rows[i], window));
  }
  return rows;
}

std::int64_t RowReader::blocks_held() const {
  std::int64_t count = 0;
  for (const auto& [number, lane] : lanes_) count += static_cast<std::int64_t>(lane.held.size());
  return count;
}

}  // namespace tributary
