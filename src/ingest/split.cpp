#include "ingest/split.h"

#include <array>

#include "base/error.h"
#include "base/key.h"

namespace tributary {
namespace {

// A patient hash and a salt to 64 even bits; bytes are laid out by hand so that every machine sees the same ones.
std::uint64_t rehash(std::uint64_t patient_hash, std::uint64_t salt) {
  std::array<char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<unsigned char>(patient_hash >> (8 * i)));
  return stable_hash({bytes.data(), bytes.size()}, salt);
}

}  // namespace

std::uint64_t patient_hash_of(std::string_view source_patient_id) { return stable_hash(source_patient_id); }

Split split_of(std::uint64_t patient_hash, std::string_view salt, const SplitFractions& fractions) {
  if (!(fractions.train >= 0 && fractions.validation >= 0 && fractions.train + fractions.validation <= 1))
    fail(ErrorKind::configuration, "split: train {} and validation {} must not be negative nor exceed 1 together", fractions.train, fractions.validation);
  const std::uint64_t salted = rehash(patient_hash, stable_hash(salt, static_cast<std::uint64_t>(Draw::split)));
  const double place = static_cast<double>(salted >> 11) * 0x1.0p-53;
  if (place < fractions.train) return Split::train;
  return place < fractions.train + fractions.validation ? Split::validation : Split::test;
}

std::int32_t part_of(std::uint64_t patient_hash, std::int64_t parts) {
  if (parts < 1 || parts >= (std::int64_t{1} << 31)) fail(ErrorKind::configuration, "parts: {} is not in 1 ... 2147483647", parts);
  const std::uint64_t high = rehash(patient_hash, static_cast<std::uint64_t>(Draw::patient)) >> 32;
  return static_cast<std::int32_t>((high * static_cast<std::uint64_t>(parts)) >> 32);
}

}  // namespace tributary
