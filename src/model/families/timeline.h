// The hourly timeline of a leaf: which hours are real, and the sensors and static features as the model sees them. Specification, paragraph 5.
#pragma once

#include "batches/batch.h"

namespace tributary {

// What of the data set the timeline is made of.
struct TimelineLayout {
  std::int64_t steps = 0;              // hours T where no sensor group says otherwise
  std::vector<std::int64_t> channels;  // C of each sensor group
  std::int64_t statics = 0;
  bool notes = false;
};

[[nodiscard]] TimelineLayout timeline_layout(const Schema& schema);

// Hours of the leaf's tensors.
[[nodiscard]] std::int64_t hours(const Batch& batch, const TimelineLayout& layout);

// [B, T] bool: the record's own hours; none for a record without any modality of the timeline.
[[nodiscard]] at::Tensor valid_hours(const Batch& batch, const TimelineLayout& layout);

// [B, T] bool: valid hours of the records that have notes.
[[nodiscard]] at::Tensor note_hours(const Batch& batch, const TimelineLayout& layout);

// z^g = [x ; m ; delta] of one group: [B, T, 3 C]; an absent series is one never measured (0, 0, 1); 0 where `valid` is false.
[[nodiscard]] at::Tensor sensor_input(const Batch& batch, std::size_t group, const at::Tensor& valid);

// [static values ; observed bits] at every hour: [B, T, 2 S]; 0 where absent or not valid.
[[nodiscard]] at::Tensor static_input(const Batch& batch, const at::Tensor& valid);

}  // namespace tributary
