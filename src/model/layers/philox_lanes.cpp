#include "model/layers/philox_lanes.h"

#include <algorithm>

#include "model/layers/vectorised.h"

#if TRIBUTARY_PROCESSORS
#include <immintrin.h>
#endif

namespace tributary {
namespace {

#if TRIBUTARY_PROCESSORS

// Four counters, a word of each in the low half of a lane. What lies in the high halves is of no matter: the products read the low ones alone. Written by hand,
// as GCC 12 makes scalar code of the plain loop, which takes ten times as long.
struct Counters {
  __m256i c0, c1, c2, c3;
};

__attribute__((target("avx2"))) inline Counters counters_from(const Key& key, std::uint64_t first) {
  const __m256i counter = _mm256_add_epi64(_mm256_set1_epi64x(static_cast<long long>(first)), _mm256_set_epi64x(3, 2, 1, 0));
  const __m256i high = _mm256_set1_epi64x(static_cast<long long>(key.high));
  return {counter, _mm256_srli_epi64(counter, 32), high, _mm256_srli_epi64(high, 32)};
}

__attribute__((target("avx2"))) inline void one_round(Counters& c, __m256i k0, __m256i k1) {
  const __m256i product0 = _mm256_mul_epu32(_mm256_set1_epi64x(0xD2511F53), c.c0), product1 = _mm256_mul_epu32(_mm256_set1_epi64x(0xCD9E8D57), c.c2);
  c.c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(product1, 32), c.c1), k0);
  c.c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(product0, 32), c.c3), k1);
  c.c1 = product1;
  c.c3 = product0;
}

__attribute__((target("avx2"))) inline void store(const Counters& c, std::uint32_t* words) {
  const __m256i low = _mm256_set1_epi64x(0xFFFFFFFF);
  const __m256i front = _mm256_or_si256(_mm256_and_si256(c.c0, low), _mm256_slli_epi64(c.c1, 32));
  const __m256i back = _mm256_or_si256(_mm256_and_si256(c.c2, low), _mm256_slli_epi64(c.c3, 32));
  const __m256i even = _mm256_unpacklo_epi64(front, back), odd = _mm256_unpackhi_epi64(front, back);  // counters 0 and 2, 1 and 3
  auto* const to = reinterpret_cast<__m256i_u*>(words);
  _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}

// Two chains of products at a time: each waits for its own.
__attribute__((target("avx2"))) void lanes_avx2(const Key& key, std::uint64_t first_call, std::uint32_t* words) {
  for (int j = 0; j < philox_calls; j += 8) {
    Counters a = counters_from(key, first_call + static_cast<std::uint64_t>(j)), b = counters_from(key, first_call + static_cast<std::uint64_t>(j) + 4);
    std::uint32_t k0 = static_cast<std::uint32_t>(key.low), k1 = static_cast<std::uint32_t>(key.low >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
      const __m256i key0 = _mm256_set1_epi64x(k0), key1 = _mm256_set1_epi64x(k1);
      one_round(a, key0, key1);
      one_round(b, key0, key1);
    }
    store(a, words + std::ptrdiff_t{4} * j);
    store(b, words + std::ptrdiff_t{4} * j + 16);
  }
}

#endif

}  // namespace

void philox_lanes(const Key& key, std::uint64_t first_call, std::uint32_t* words) {
#if TRIBUTARY_PROCESSORS
  if (register_floats() >= 8) return lanes_avx2(key, first_call, words);
#endif
  for (int j = 0; j < philox_calls; ++j) std::ranges::copy(philox(key, first_call + static_cast<std::uint64_t>(j)), words + std::ptrdiff_t{4} * j);
}

}  // namespace tributary
