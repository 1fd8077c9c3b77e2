// What a source may hand to the writer: the first thing wrong in a block is told by part, field and row, before anything is written.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "shards/record_block.h"
#include "shards/schema.h"

namespace tributary {

// Where a block will stand: for the words of an error, and because the split follows from the row.
struct BlockPlace {
  std::string part;
  std::int64_t first_row = 0;
  std::array<std::int64_t, split_count> part_rows{};
};

// `vocabulary_size` 0: token ids are not bounded above.
// Throws: Error{data} naming part, field and row: NaN or infinite value, a value where none was observed, label outside the map, split out of range or not
// in order, hour or steps out of range, offsets not ascending, text or id not UTF-8, token outside the vocabulary, what entity_checks.h names; Error{internal}
// when a column has not the length that rows and schema demand.
void check_block(const Schema& schema, const RecordBlock& block, const BlockPlace& place, std::int64_t vocabulary_size);

[[nodiscard]] bool is_utf8(std::string_view bytes);  // without surrogates, overlong forms and values above U+10FFFF

}  // namespace tributary
