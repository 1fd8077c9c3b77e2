// Random numbers by key, not by stream: the same key gives the same numbers on any rank, in any order, after any resume.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox4x32-10.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace tributary {

// Names a set of draws. Derive one from what the draw belongs to: (seed, step, leaf, block, draw), (seed, parameter name), ...
struct Key {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Key&) const = default;
};

// What a key is for; part of every derivation, so that two uses with equal numbers never meet. The values are frozen: they decide bits.
enum class Draw : std::uint64_t {
  dropout = 1,
  masking = 2,
  initial = 3,
  block_order = 4,
  row_order = 5,
  synth = 6,
  epoch_offset = 7,
  split = 8,
  patient = 9,
  bootstrap = 10,
  negatives = 11
};

[[nodiscard]] Key derive_key(Draw use, std::initializer_list<std::uint64_t> parts);
[[nodiscard]] Key derive_key(Draw use, std::uint64_t seed, std::string_view name);

// 128 random bits for position `counter` of the key's sequence.
[[nodiscard]] std::array<std::uint32_t, 4> philox(const Key& key, std::uint64_t counter);

// [0, 1) with 53 random bits, from draw `counter`.
[[nodiscard]] double uniform(const Key& key, std::uint64_t counter);

// A keyed bijection of [0, count): where index goes. O(1) memory: a Feistel network over the next even power of two, with cycle walking.
// Source: Black and Rogaway, "Ciphers with arbitrary finite domains" (CT-RSA 2002).
class Permutation {
 public:
  Permutation(const Key& key, std::uint64_t count);
  [[nodiscard]] std::uint64_t operator()(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  [[nodiscard]] std::uint64_t encrypt(std::uint64_t value) const;
  Key key_;
  std::uint64_t count_;
  unsigned half_bits_;
};

// A 64-bit mix of bytes for identities (patient hash, names): FNV-1a finished by splitmix64. Not cryptographic; frozen.
[[nodiscard]] std::uint64_t stable_hash(std::string_view bytes, std::uint64_t salt = 0);

}  // namespace tributary
