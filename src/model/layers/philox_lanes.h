// philox() of base for 16 counters side by side, for files whose functions are compiled for several processors (vectorised.h).
#pragma once

#include <cstdint>

#include "base/key.h"
#include "model/layers/vectorised.h"

namespace tributary {

inline constexpr int philox_calls = 16, philox_block = 4 * philox_calls;

// words[4 j + w]: word w of philox(key, first_call + j).
TRIBUTARY_INLINE void philox_lanes(const Key& key, std::uint64_t first_call, std::uint32_t* words) {
  std::uint32_t c0[philox_calls], c1[philox_calls], c2[philox_calls], c3[philox_calls];
  for (int j = 0; j < philox_calls; ++j) {
    const std::uint64_t counter = first_call + static_cast<std::uint64_t>(j);
    c0[j] = static_cast<std::uint32_t>(counter);
    c1[j] = static_cast<std::uint32_t>(counter >> 32);
    c2[j] = static_cast<std::uint32_t>(key.high);
    c3[j] = static_cast<std::uint32_t>(key.high >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.low), k1 = static_cast<std::uint32_t>(key.low >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int j = 0; j < philox_calls; ++j) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * c0[j], product1 = std::uint64_t{0xCD9E8D57U} * c2[j];
      c0[j] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[j] ^ k0;
      c2[j] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[j] ^ k1;
      c1[j] = static_cast<std::uint32_t>(product1);
      c3[j] = static_cast<std::uint32_t>(product0);
    }
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  for (int j = 0; j < philox_calls; ++j) {
    words[4 * j] = c0[j];
    words[4 * j + 1] = c1[j];
    words[4 * j + 2] = c2[j];
    words[4 * j + 3] = c3[j];
  }
}

}  // namespace tributary
