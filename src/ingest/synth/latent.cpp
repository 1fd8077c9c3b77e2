#include "ingest/synth/latent.h"

#include <cmath>

#include "ingest/synth/draws.h"

namespace tributary::synth {
namespace {

// Share of each modality in the variance of what all modalities together say about a label.
constexpr std::array<double, modality_count> variance_share{0.28, 0.26, 0.24, 0.22};

// An outcome happens when explained * (weighted sum of factors) + unexplained noise, of variance 1, exceeds the threshold.
struct Outcome {
  Factors direction;
  double threshold;
};
constexpr double explained_variance = 0.92;

constexpr Outcome mortality{{0.90, 0.35, 0.25}, 1.00};
constexpr Outcome sepsis{{0.50, 0.85, 0.15}, 0.80};
constexpr std::array<Outcome, 3> diagnosis_axes{{{{1, 0, 0}, 0.2}, {{0, 1, 0}, 0.0}, {{0, 0, 1}, 0.1}}};
constexpr Factors stay_direction{0.75, 0.20, 0.60};
constexpr std::array<double, 3> stay_thresholds{-0.4, 0.4, 1.1};
constexpr std::array<Outcome, 10> medications{{{{0.3, 0.9, 0.0}, 0.3},
                                               {{0.9, 0.3, 0.0}, 0.9},
                                               {{0.1, 0.1, 0.9}, 0.5},
                                               {{0.2, -0.8, 0.5}, 0.6},
                                               {{0.0, -0.9, -0.3}, 0.4},
                                               {{0.5, 0.0, -0.7}, 0.2},
                                               {{0.8, 0.0, -0.5}, 0.7},
                                               {{0.5, 0.6, -0.4}, 0.8},
                                               {{0.4, 0.7, 0.5}, 1.0},
                                               {{0.6, -0.7, 0.0}, 1.1}}};
constexpr std::array<double, 5> label_missing_rate{0.02, 0.05, 0.08, 0.10, 0.04};  // in the order of tasks()

double liability(const Latent& latent, const Factors& direction, Draws& draws) {
  double length = 0, sum = 0;
  for (const double part : direction) length += part * part;
  for (std::size_t m = 0; m < modality_count; ++m) {
    const Factors& factors = latent.of[m];
    sum += std::sqrt(variance_share[m]) * (direction[0] * factors[0] + direction[1] * factors[1] + direction[2] * factors[2]);
  }
  return sum * std::sqrt(explained_variance / length) + std::sqrt(1 - explained_variance) * draws.normal();
}

float happens(const Latent& latent, const Outcome& outcome, Draws& draws) {
  return liability(latent, outcome.direction, draws) > outcome.threshold ? 1.0F : 0.0F;
}

}  // namespace

Latent latent_of(std::uint64_t seed, std::uint64_t record, std::uint64_t patient) {
  Latent latent;
  Draws own(seed, Purpose::factors, record), shared(seed, Purpose::patient, patient);
  for (const Modality m : {in_notes, in_series, in_image})
    for (double& factor : latent.of[m]) factor = own.normal();
  for (double& factor : latent.of[in_statics]) factor = shared.normal();
  return latent;
}

std::vector<Task> tasks() {
  return {{"mortality", TaskKind::binary, {"survived", "died"}},
          {"sepsis", TaskKind::binary, {"no", "yes"}},
          {"primary_diagnosis",
           TaskKind::multiclass,
           {"stroke", "diabetic_ketoacidosis", "influenza", "pyelonephritis", "cardiogenic_shock", "cardiorenal_syndrome", "pneumonia", "urosepsis"}},
          {"medication",
           TaskKind::multilabel,
           {"antibiotic", "vasopressor", "insulin", "diuretic", "anticoagulant", "opioid", "sedative", "bronchodilator", "corticosteroid", "antiarrhythmic"}},
          {"length_of_stay", TaskKind::multiclass, {"under_3_days", "3_to_7_days", "7_to_14_days", "over_14_days"}}};
}

void append_labels(std::uint64_t seed, std::uint64_t record, const Latent& latent, std::vector<LabelColumns>& columns) {
  Draws draws(seed, Purpose::labels, record);
  std::array<std::vector<float>, 5> values;
  values[0] = {happens(latent, mortality, draws)};
  values[1] = {happens(latent, sepsis, draws)};
  float diagnosis = 0;
  for (const Outcome& axis : diagnosis_axes) diagnosis = 2 * diagnosis + happens(latent, axis, draws);
  values[2] = {diagnosis};
  for (const Outcome& medication : medications) values[3].push_back(happens(latent, medication, draws));
  const double stay = liability(latent, stay_direction, draws);
  float stay_class = 0;
  for (const double threshold : stay_thresholds) stay_class += stay > threshold ? 1.0F : 0.0F;
  values[4] = {stay_class};
  for (std::size_t t = 0; t < values.size(); ++t) {
    const bool valid = !draws.happens(label_missing_rate[t]);
    columns[t].valid.push_back(valid ? 1 : 0);
    for (const float value : values[t]) columns[t].values.push_back(valid ? value : 0.0F);
  }
}

}  // namespace tributary::synth
