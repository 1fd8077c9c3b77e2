#include "model/families/timeline.h"

namespace tributary {
namespace {

enum PresenceColumn : std::int64_t { column_static = 0, column_series = 1, column_notes = 2 };  // of Batch::presence

}  // namespace

TimelineLayout timeline_layout(const Schema& schema) {
  TimelineLayout layout;
  layout.steps = schema.steps;
  for (const SeriesGroup& group : schema.series) layout.channels.push_back(static_cast<std::int64_t>(group.channels.size()));
  layout.statics = static_cast<std::int64_t>(schema.statics.size());
  layout.notes = schema.notes;
  return layout;
}

std::int64_t hours(const Batch& batch, const TimelineLayout& layout) { return layout.channels.empty() ? layout.steps : batch.series[0].value.size(1); }

at::Tensor valid_hours(const Batch& batch, const TimelineLayout& layout) {
  at::Tensor present = at::zeros({batch.rows()}, batch.presence.options());
  if (layout.statics > 0) present = present.logical_or(batch.presence.select(1, column_static));
  if (!layout.channels.empty()) present = present.logical_or(batch.presence.select(1, column_series));
  if (layout.notes) present = present.logical_or(batch.presence.select(1, column_notes));
  return at::arange(hours(batch, layout), batch.steps.options()).lt(batch.steps.unsqueeze(1)).logical_and_(present.unsqueeze(1));
}

at::Tensor note_hours(const Batch& batch, const TimelineLayout& layout) {
  return valid_hours(batch, layout).logical_and(batch.presence.select(1, column_notes).unsqueeze(1));
}

at::Tensor sensor_input(const Batch& batch, std::size_t group, const at::Tensor& valid) {
  const SeriesTensors& series = batch.series[group];
  const at::Tensor present = batch.presence.select(1, column_series).unsqueeze(1);  // [B, 1]
  const at::Tensor measured = at::cat({series.value, series.observed, series.delta}, 2);
  const std::int64_t channels = series.value.size(2);
  at::Tensor never = at::zeros({3 * channels}, measured.options());
  never.narrow(0, 2 * channels, channels).fill_(1);
  const at::Tensor absent = valid.logical_and(present.logical_not()).unsqueeze(2).to(measured.scalar_type());  // [B, T, 1]
  return at::where(valid.logical_and(present).unsqueeze(2), measured, absent * never);
}

at::Tensor static_input(const Batch& batch, const at::Tensor& valid) {
  const at::Tensor features = at::cat({batch.static_value, batch.static_observed}, 1).unsqueeze(1);  // [B, 1, 2 S]
  const at::Tensor present = batch.presence.select(1, column_static).unsqueeze(1);
  return at::where(valid.logical_and(present).unsqueeze(2), features, at::zeros({}, features.options()));
}

}  // namespace tributary
