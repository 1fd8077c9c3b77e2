#include <utility>

#include "batches/row_reader.h"

namespace tributary {

ShardRowSource::ShardRowSource(ShardReader reader, FieldSelection fields) : reader_(std::move(reader)), fields_(fields) {}

RecordBlock ShardRowSource::read(int part, std::int64_t first, std::int64_t rows) { return reader_.read(part, first, rows, fields_); }

}  // namespace tributary
