// Global attention over the fused sequence: a gate on its elements, a context added to them, or both. Specification, paragraph 10 (eq 23 to 27).
#pragma once

#include "model/block.h"
#include "model/families/fusion.h"
#include "model/families/sequence.h"
#include "model/model_config.h"

namespace tributary {

// A of eq 24 for inspection: [B, heads, T queries, T keys], detached; add the name to BlockList::outputs to have it handed back for every leaf.
// 0 where query or key is no valid hour. Made in evaluation of timeline mode alone; else empty, for n tokens give n^2 of them.
inline constexpr const char* attention_weights_name = "attention.weights";

// Adds the block; returns where f~ travels.
[[nodiscard]] FusedNames add_global_attention(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const FusedNames& fused);

}  // namespace tributary
