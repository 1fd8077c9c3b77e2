// Numbers for one field of one made-up record: a keyed sequence, so that a record does not depend on which others are made.
// Only + - * / on IEEE doubles and integers: the same bits on every machine.
#pragma once

#include <cstdint>

#include "base/key.h"

namespace tributary::synth {

// What a sequence is for. The values are frozen: they decide bits.
enum class Purpose : std::uint64_t { presence = 1, factors = 2, labels = 3, statics = 4, series = 5, notes = 6, image = 7, patient = 8, length = 9 };

// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), splitmix64; started from a Philox-family key.
class Draws {
 public:
  Draws(std::uint64_t seed, Purpose purpose, std::uint64_t number) {
    const Key key = derive_key(Draw::synth, {seed, static_cast<std::uint64_t>(purpose), number});
    state_ = key.low ^ (key.high << 1);
  }

  std::uint64_t bits() {
    std::uint64_t value = (state_ += 0x9e3779b97f4a7c15ULL);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }

  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }           // [0, 1)
  std::uint64_t below(std::uint64_t count) { return ((bits() >> 32) * count) >> 32; }  // 0 ... count - 1, count < 2^32
  bool happens(double probability) { return uniform() < probability; }

  // Mean 0, variance 1, within 3.47: the sum of four uniforms.
  double normal() {
    const std::uint64_t value = bits();
    const auto sum = static_cast<double>((value & 0xffff) + ((value >> 16) & 0xffff) + ((value >> 32) & 0xffff) + (value >> 48));
    return (sum - 131070.0) * (1.7320508075688772 / 65536.0);
  }

 private:
  std::uint64_t state_;
};

// From 0 to 1 around 0.5 at x = 0; a rational stand-in for the logistic function.
inline double soft_step(double x) { return 0.5 + 0.5 * x / (1.0 + (x < 0 ? -x : x)); }

inline double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// To the nearest multiple of 1 / per_unit, as an instrument would show it. |x * per_unit| < 2^52.
inline double rounded(double x, double per_unit) {
  const double scaled = x * per_unit + (x < 0 ? -0.5 : 0.5);
  return static_cast<double>(static_cast<std::int64_t>(scaled)) / per_unit;
}

}  // namespace tributary::synth
