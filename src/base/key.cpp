#include "base/key.h"

#include "base/error.h"

namespace tributary {
namespace {

std::uint64_t mix(std::uint64_t value) {  // splitmix64 finaliser (Steele et al. 2014)
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace

Key derive_key(Draw use, std::initializer_list<std::uint64_t> parts) {
  Key key{mix(static_cast<std::uint64_t>(use)), mix(~static_cast<std::uint64_t>(use))};
  for (const std::uint64_t part : parts) {
    key.low = mix(key.low ^ mix(part));
    key.high = mix(key.high + mix(part ^ 0x5851f42d4c957f2dULL));
  }
  return key;
}

Key derive_key(Draw use, std::uint64_t seed, std::string_view name) { return derive_key(use, {seed, stable_hash(name), stable_hash(name, 1)}); }

std::array<std::uint32_t, 4> philox(const Key& key, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(key.high), c3 = static_cast<std::uint32_t>(key.high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key.low), k1 = static_cast<std::uint32_t>(key.low >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = 0xD2511F53ULL * c0;
    const std::uint64_t product1 = 0xCD9E8D57ULL * c2;
    const auto high0 = static_cast<std::uint32_t>(product0 >> 32), low0 = static_cast<std::uint32_t>(product0);
    const auto high1 = static_cast<std::uint32_t>(product1 >> 32), low1 = static_cast<std::uint32_t>(product1);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = low1;
    c3 = low0;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {c0, c1, c2, c3};
}

double uniform(const Key& key, std::uint64_t counter) {
  const auto bits = philox(key, counter);
  const std::uint64_t wide = (static_cast<std::uint64_t>(bits[0]) << 32) | bits[1];
  return static_cast<double>(wide >> 11) * 0x1.0p-53;
}

Permutation::Permutation(const Key& key, std::uint64_t count) : key_(key), count_(count), half_bits_(1) {
  while (half_bits_ < 32 && (1ULL << (2 * half_bits_)) < count) ++half_bits_;
}

std::uint64_t Permutation::encrypt(std::uint64_t value) const {
  const std::uint64_t mask = (1ULL << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_, right = value & mask;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t scrambled = philox(key_, (round << 32) | right)[0] & mask;
    const std::uint64_t next = left ^ scrambled;
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

std::uint64_t Permutation::operator()(std::uint64_t index) const {
  check(index < count_, "Permutation: index {} of {}", index, count_);
  do index = encrypt(index);
  while (index >= count_);
  return index;
}

std::uint64_t stable_hash(std::string_view bytes, std::uint64_t salt) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ mix(salt);
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return mix(hash);
}

}  // namespace tributary
