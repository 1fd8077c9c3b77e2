// The hidden state behind a made-up record, and the labels that follow from it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "shards/record_block.h"
#include "shards/schema.h"

namespace tributary::synth {

enum Modality : std::size_t { in_notes = 0, in_series = 1, in_statics = 2, in_image = 3 };
inline constexpr std::size_t modality_count = 4;

// Independent, mean 0, variance 1: [0] how sick, [1] infectious (+) or cardiac (-), [2] renal and metabolic (+) or neurological (-).
using Factors = std::array<double, 3>;

// Each modality shows factors of its own, and every label depends on those of all four, whether the record has the modality or not.
struct Latent {
  std::array<Factors, modality_count> of;
};

// The static factors belong to the patient, the others to the record.
[[nodiscard]] Latent latent_of(std::uint64_t seed, std::uint64_t record, std::uint64_t patient);

[[nodiscard]] std::vector<Task> tasks();

// Appends one record's labels, some of them missing, to `columns` (one entry a task, in the order of tasks()).
void append_labels(std::uint64_t seed, std::uint64_t record, const Latent& latent, std::vector<LabelColumns>& columns);

}  // namespace tributary::synth
