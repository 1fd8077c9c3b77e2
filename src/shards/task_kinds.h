// What kinds of tasks have in common.
#pragma once

#include "shards/schema.h"

namespace tributary {

// Whether a label is the number of one class out of several.
[[nodiscard]] constexpr bool is_one_class(TaskKind kind) { return kind == TaskKind::multiclass || kind == TaskKind::relation; }

// Whether shards hold the labels; those of masked tokens are made with each batch.
[[nodiscard]] constexpr bool is_stored(TaskKind kind) { return kind != TaskKind::masked_token; }

}  // namespace tributary
