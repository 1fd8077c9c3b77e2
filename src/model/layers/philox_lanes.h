// philox() of base for many counters side by side.
#pragma once

#include <cstdint>

#include "base/key.h"

namespace tributary {

inline constexpr int philox_calls = 16, philox_block = 4 * philox_calls;

// words[4 j + w]: word w of philox(key, first_call + j), for philox_calls of them; the same on every processor.
void philox_lanes(const Key& key, std::uint64_t first_call, std::uint32_t* words);

}  // namespace tributary
