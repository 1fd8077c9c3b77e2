// Records of one part and one task, all for training: enough to plan batches of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "shards/record_index.h"

namespace tributary::testing_support {

inline std::vector<Task> one_task() { return {{"mortality", TaskKind::binary, {"no", "yes"}}}; }

// tokens: of the one note of a record, by its number; without: there are no notes.
inline RecordIndex training_index(std::int64_t records, const std::function<std::size_t(std::size_t)>& tokens = {}) {
  Catalogue catalogue;
  catalogue.chunk_rows = 4;
  catalogue.schema.tasks = one_task();
  catalogue.parts.resize(1);
  catalogue.parts[0].rows = {records, 0, 0};
  std::vector<IndexRow> rows(static_cast<std::size_t>(records));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows[r].labels_valid = 1;
    if (!tokens) continue;
    rows[r].notes = 1;
    rows[r].tokens = rows[r].longest_note = static_cast<std::uint16_t>(tokens(r));
  }
  return {catalogue, {std::move(rows)}};
}

}  // namespace tributary::testing_support
