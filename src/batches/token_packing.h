// Records dealt to leaves by their tokens. Pure: the same leaves on every rank, whatever their number.
#pragma once

#include <cstdint>
#include <vector>

#include "batches/note_windows.h"
#include "shards/record_index.h"

namespace tributary {

// What decides how many tokens of a record the encoder sees; 0: no limit.
struct TokenRules {
  std::int64_t notes_per_record = 0, tokens_per_note = 0;
  WindowShape windows;
};

// Tokens of a record's windows, [CLS], [SEP] and overlap included, as far as its index row tells: exact for a record of one note and wherever no note is cut or
// longer than a window; else near.
[[nodiscard]] std::int64_t encoder_tokens(const IndexRow& row, const TokenRules& rules);

// Tokens of a record's marked pairs (pair_sequences.h), `pairs` of them, as far as its index row tells: near, for how many mentions its concepts have is known
// only in the mean.
[[nodiscard]] std::int64_t marked_pair_tokens(const IndexRow& row, const EntityCounts& entities, std::int64_t pairs, const TokenRules& rules);

// The fewest groups of nearly equal sums of `tokens` that keep to the budget; a record above it is a group of its own. Items ascend in a group, groups by their
// first item. Source: Graham, "Bounds on multiprocessing timing anomalies" (SIAM J. Appl. Math. 1969): longest first, to the least loaded group.
[[nodiscard]] std::vector<std::vector<std::size_t>> pack_by_tokens(const std::vector<std::int64_t>& tokens, std::int64_t budget);

}  // namespace tributary
