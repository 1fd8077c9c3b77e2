// Static features, hourly series and small images of a made-up record, in physiologic ranges; each shows its own factors of the latent state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ingest/synth/latent.h"
#include "shards/schema.h"

namespace tributary::synth {

[[nodiscard]] std::vector<Channel> static_channels();    // 12
[[nodiscard]] std::vector<SeriesGroup> series_groups();  // vitals, labs, fluids: 7 + 6 + 3 channels
[[nodiscard]] ImageShape image_shape();                  // 1 x 28 x 28

// Units: as in static_channels(). Fills values (0 where not observed) and observed bits; what belongs to the patient is equal in all of a patient's records.
void fill_statics(std::uint64_t seed, std::uint64_t record, std::uint64_t patient, const Factors& factors, std::span<float> values,
                  std::span<std::uint8_t> observed);

// Units: as in series_groups(). Fills the first `steps` hours of a group, [steps, C]; the sicker, the more is measured.
void fill_series(std::uint64_t seed, std::uint64_t record, std::size_t group, std::int64_t steps, const Factors& factors, std::span<float> values,
                 std::span<std::uint8_t> observed);

// A bright blob on a noisy ground: its brightness and place show the factors.
void fill_image(std::uint64_t seed, std::uint64_t record, const Factors& factors, std::span<std::uint8_t> pixels);

}  // namespace tributary::synth
