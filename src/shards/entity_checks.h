// What a source may hand to the writer about concepts, mentions and relations; see block_checks.h.
#pragma once

#include "shards/block_checks.h"
#include "shards/record_block.h"
#include "shards/schema.h"

namespace tributary {

// Throws: Error{data} naming part, field and row: a type outside the schema, a concept without an id, with that of another or without a mention, a mention
// outside its note, that cuts a character or stands out of order, a relation that is no candidate, is told twice or has no class; Error{internal} when a
// column has not the length that its offsets demand.
void check_entities(const Schema& schema, const RecordBlock& block, const BlockPlace& place);

}  // namespace tributary
