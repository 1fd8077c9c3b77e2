#include "ingest/synth/measurements.h"

#include <array>
#include <cmath>

#include "ingest/synth/draws.h"

namespace tributary::synth {
namespace {

struct Quantity {
  const char* name;
  const char* unit;
  double mean, deviation;
  Factors loading;  // correlation with each factor
  double lowest, highest, per_unit;
  double rate;  // static: missing; vitals, fluids: measured an hour; labs: measured when blood is drawn
};
enum StaticFeature : std::size_t {
  age,
  sex,
  height,
  weight,
  body_mass_index,
  charlson,
  frailty,
  emergency,
  immunosuppressed,
  c_reactive_protein,
  diabetes,
  egfr
};

// Yes/no features are 1 where the underlying normal value exceeds 0.
constexpr std::array<Quantity, 12> static_table{{
    {"age", "years", 64, 14, {0.85, 0, 0}, 18, 90, 1, 0.01},
    {"male", "0/1", 0, 1, {0, 0, 0}, 0, 1, 0, 0},
    {"height", "cm", 166, 8, {0, 0, 0}, 140, 210, 1, 0.08},
    {"weight", "kg", 82, 18, {0, 0, 0.70}, 35, 220, 10, 0.05},
    {"body_mass_index", "kg/m2", 0, 0, {0, 0, 0}, 10, 90, 10, 0.10},
    {"charlson_index", "points", 4, 2, {0.80, 0, 0.15}, 0, 15, 1, 0.04},
    {"clinical_frailty_scale", "points", 4.2, 1.6, {0.80, 0.10, 0}, 1, 9, 1, 0.15},
    {"emergency_admission", "0/1", 0.4, 1, {0.25, 0.80, 0}, 0, 1, 0, 0},
    {"immunosuppressed", "0/1", -0.3, 1, {0, 0.88, 0}, 0, 1, 0, 0.03},
    {"c_reactive_protein", "mg/L", 85, 40, {0.10, 0.88, 0}, 1, 400, 1, 0.15},
    {"diabetes", "0/1", -0.2, 1, {0, 0, 0.88}, 0, 1, 0, 0.02},
    {"baseline_egfr", "mL/min", 72, 24, {-0.20, 0, -0.85}, 5, 140, 1, 0.12},
}};

constexpr std::array<Quantity, 7> vitals{{
    {"heart_rate", "1/min", 86, 15, {0.55, 0.25, 0}, 30, 200, 1, 0.90},
    {"systolic_pressure", "mmHg", 122, 18, {-0.50, -0.15, 0.10}, 50, 230, 1, 0.85},
    {"diastolic_pressure", "mmHg", 66, 11, {-0.40, -0.10, 0.10}, 25, 130, 1, 0.85},
    {"mean_pressure", "mmHg", 84, 13, {-0.50, -0.15, 0.10}, 35, 160, 1, 0.85},
    {"respiratory_rate", "1/min", 19, 5, {0.50, 0.15, 0.10}, 4, 60, 1, 0.85},
    {"oxygen_saturation", "%", 96, 2.2, {-0.55, 0, 0}, 60, 100, 1, 0.88},
    {"temperature", "degC", 37.0, 0.6, {0, 0.70, 0}, 33, 42, 10, 0.35},
}};
constexpr std::array<Quantity, 6> labs{{
    {"lactate", "mmol/L", 2.2, 1.0, {0.65, 0.20, 0.10}, 0.3, 20, 10, 0.60},
    {"creatinine", "mg/dL", 1.6, 0.6, {0, 0, 0.75}, 0.2, 15, 100, 0.90},
    {"white_cells", "10^9/L", 11, 4, {0.10, 0.70, 0}, 0.2, 60, 10, 0.85},
    {"platelets", "10^9/L", 215, 75, {-0.20, -0.45, -0.10}, 5, 900, 1, 0.85},
    {"glucose", "mg/dL", 140, 38, {0.10, 0.10, 0.55}, 30, 700, 1, 0.95},
    {"potassium", "mmol/L", 4.2, 0.5, {0, 0, 0.50}, 2, 8, 10, 0.95},
}};
constexpr std::array<Quantity, 3> fluids{{
    {"urine_output", "mL/h", 85, 38, {-0.10, 0, -0.65}, 0, 600, 5, 0.70},
    {"intravenous_fluids", "mL/h", 95, 45, {0.25, 0.45, 0}, 0, 1000, 0.2, 0.60},
    {"norepinephrine", "ug/kg/min", 0.06, 0.06, {0.65, 0.10, 0}, 0, 2, 100, 0.50},
}};
struct Group {
  const char* name;
  std::span<const Quantity> channels;
  double drawn;  // chance an hour that anything of the group is measured, for a patient of middle sickness
};
constexpr std::array<Group, 3> groups{{{"vitals", vitals, 1.0}, {"labs", labs, 0.15}, {"fluids", fluids, 1.0}}};
constexpr std::size_t most_channels = 8;

constexpr std::int64_t side = 28;

double explained(const Quantity& quantity, const Factors& factors) {
  return quantity.loading[0] * factors[0] + quantity.loading[1] * factors[1] + quantity.loading[2] * factors[2];
}

double unexplained_deviation(const Quantity& quantity) {
  double variance = 1;
  for (const double loading : quantity.loading) variance -= loading * loading;
  return std::sqrt(variance);
}

float shown(const Quantity& quantity, double value) { return static_cast<float>(rounded(clamp(value, quantity.lowest, quantity.highest), quantity.per_unit)); }

Channel channel_of(const Quantity& quantity) { return {quantity.name, quantity.unit}; }

}  // namespace

std::vector<Channel> static_channels() {
  std::vector<Channel> channels;
  for (const Quantity& quantity : static_table) channels.push_back(channel_of(quantity));
  return channels;
}

std::vector<SeriesGroup> series_groups() {
  std::vector<SeriesGroup> result;
  for (const Group& group : groups) {
    result.push_back({group.name, {}});
    for (const Quantity& quantity : group.channels) result.back().channels.push_back(channel_of(quantity));
  }
  return result;
}

ImageShape image_shape() { return {1, side, side}; }

void fill_statics(std::uint64_t seed, std::uint64_t record, std::uint64_t patient, const Factors& factors, std::span<float> values,
                  std::span<std::uint8_t> observed) {
  Draws of_patient(seed, Purpose::statics, 2 * patient), of_record(seed, Purpose::statics, 2 * record + 1);
  for (std::size_t i = 0; i < static_table.size(); ++i) {
    const Quantity& quantity = static_table[i];
    const bool of_stay = i == emergency || i == c_reactive_protein;
    const double normal = explained(quantity, factors) + unexplained_deviation(quantity) * (of_stay ? of_record : of_patient).normal();
    double value = quantity.mean + quantity.deviation * normal;
    if (i == height) value += values[sex] > 0 ? 9.0 : 0.0;
    if (i == body_mass_index)
      value = 10000.0 * static_cast<double>(values[weight]) / (static_cast<double>(values[height]) * static_cast<double>(values[height]));
    values[i] = quantity.per_unit == 0 ? (value > 0 ? 1.0F : 0.0F) : shown(quantity, value);
  }
  for (std::size_t i = 0; i < static_table.size(); ++i) {
    const double missing = static_table[i].rate * (i == c_reactive_protein ? 2 * soft_step(-factors[1]) : 1.0);
    observed[i] = of_record.happens(missing) ? 0 : 1;
    if (observed[i] == 0) values[i] = 0;
  }
}

void fill_series(std::uint64_t seed, std::uint64_t record, std::size_t group, std::int64_t steps, const Factors& factors, std::span<float> values,
                 std::span<std::uint8_t> observed) {
  const Group& of = groups[group];
  const std::size_t width = of.channels.size();
  Draws draws(seed, Purpose::series, record * groups.size() + group);
  const double attention = 0.5 + soft_step(factors[0]);  // 1 in the middle
  std::array<double, most_channels> level{}, trend{}, wander{};
  std::array<std::uint64_t, most_channels> chance{};
  for (std::size_t c = 0; c < width; ++c) {
    const double shift = explained(of.channels[c], factors);
    level[c] = 0.7 * shift + 0.5 * draws.normal();
    trend[c] = 0.6 * shift / static_cast<double>(steps);
    wander[c] = draws.normal();
    const double rate = of.channels[c].rate * (of.drawn < 1 ? 1.0 : attention);
    chance[c] = static_cast<std::uint64_t>(65536.0 * clamp(rate, 0, 0.99));
  }
  for (std::int64_t t = 0; t < steps; ++t) {
    const bool drawn = of.drawn >= 1 || draws.happens(of.drawn * attention);
    const std::size_t row = static_cast<std::size_t>(t) * width;
    for (std::size_t c = 0; c < width; ++c) {
      const std::uint64_t bits = draws.bits();  // 16 for the chance, three times 16 for a rough normal number of variance 1
      const auto sum = static_cast<double>(((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48));
      wander[c] = 0.8 * wander[c] + 0.6 * ((sum - 98302.5) * (2.0 / 65536.0));
      const bool measured = drawn && (bits & 0xffff) < chance[c];
      observed[row + c] = measured ? 1 : 0;
      const double normal = level[c] + trend[c] * static_cast<double>(t) + 0.5 * wander[c];
      values[row + c] = measured ? shown(of.channels[c], of.channels[c].mean + of.channels[c].deviation * normal) : 0.0F;
    }
  }
}

void fill_image(std::uint64_t seed, std::uint64_t record, const Factors& factors, std::span<std::uint8_t> pixels) {
  Draws draws(seed, Purpose::image, record);
  const double brightness = clamp(110 + 45 * factors[0], 5, 205);
  const double centre_x = 13.5 + 4.5 * clamp(factors[1], -2.5, 2.5), centre_y = 13.5 + 4.5 * clamp(factors[2], -2.5, 2.5);
  constexpr double inverse_radius_squared = 1.0 / 20.0;
  std::size_t pixel = 0;
  for (std::int64_t y = 0; y < side; ++y) {
    const double dy = static_cast<double>(y) - centre_y, ground = 20 + 0.7 * static_cast<double>(y);
    std::uint64_t noise = 0;
    for (std::int64_t x = 0; x < side; ++x, ++pixel) {
      noise = x % 4 == 0 ? draws.bits() : noise >> 16;
      const double dx = static_cast<double>(x) - centre_x;
      const double fall = 1.0 / (1.0 + (dx * dx + dy * dy) * inverse_radius_squared);
      const double grain = (static_cast<double>((noise & 0xff) + ((noise >> 8) & 0xff)) - 255.0) * 0.16;
      pixels[pixel] = static_cast<std::uint8_t>(clamp(ground + brightness * fall * fall + grain + 0.5, 0, 255));
    }
  }
}

}  // namespace tributary::synth
