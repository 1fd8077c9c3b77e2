// Where a record goes: the only place that decides on split, part and order, for every source of records.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shards/schema.h"

namespace tributary {

struct SplitFractions {  // the rest is test
  double train = 0.7;
  double validation = 0.1;
};

// The hash that stands for a patient: a frozen function of the source's own patient id.
[[nodiscard]] std::uint64_t patient_hash_of(std::string_view source_patient_id);

// All records of a patient fall into one split; another salt gives an independent split.
// Throws: Error{configuration} when a fraction is negative or both exceed 1.
[[nodiscard]] Split split_of(std::uint64_t patient_hash, std::string_view salt, const SplitFractions& fractions = {});

// All records of a patient stand in one part, 0 <= result < parts; independent of the split. Throws: Error{configuration} unless 1 <= parts < 2^31.
[[nodiscard]] std::int32_t part_of(std::uint64_t patient_hash, std::int64_t parts);

// Order of rows inside a part: split, then patient hash, then the source's record id (bytes).
struct RowOrder {
  Split split = Split::train;
  std::uint64_t patient_hash = 0;
  std::string id;
  auto operator<=>(const RowOrder&) const = default;
};

}  // namespace tributary
