#include "model/families/sequence.h"

#include <algorithm>
#include <utility>

namespace tributary {
namespace {

enum PresenceColumn : std::int64_t { column_static = 0, column_series = 1, column_notes = 2 };  // of Batch::presence

// places: positions() of the leaf
at::Tensor valid_of(const Batch& batch, std::int64_t places, const SequenceLayout& layout) {
  const auto prefixes = [&](const at::Tensor& lengths) { return at::arange(places, lengths.options()).lt(lengths.unsqueeze(1)); };
  if (layout.mode == SequenceMode::tokens) return prefixes(batch.notes.record_tokens);
  at::Tensor present = at::zeros({batch.rows()}, batch.presence.options());
  if (layout.statics > 0) present = present.logical_or(batch.presence.select(1, column_static));
  if (!layout.channels.empty()) present = present.logical_or(batch.presence.select(1, column_series));
  if (layout.notes) present = present.logical_or(batch.presence.select(1, column_notes));
  return prefixes(batch.steps).logical_and_(present.unsqueeze(1));
}

}  // namespace

SequenceLayout sequence_layout(SequenceMode mode, const Schema& schema) {
  SequenceLayout layout;
  layout.mode = mode;
  layout.notes = schema.notes;
  if (mode == SequenceMode::tokens) return layout;
  layout.steps = schema.steps;
  for (const SeriesGroup& group : schema.series) layout.channels.push_back(static_cast<std::int64_t>(group.channels.size()));
  layout.statics = static_cast<std::int64_t>(schema.statics.size());
  return layout;
}

std::vector<BatchField> fields_of_positions(const SequenceLayout& layout) {
  if (layout.mode == SequenceMode::tokens) return {BatchField::notes};
  return {};  // every leaf knows its hours and what its records have
}

std::int64_t positions(const Batch& host, const SequenceLayout& layout) {
  if (layout.mode == SequenceMode::timeline) return layout.channels.empty() ? layout.steps : host.series[0].value.size(1);
  return host.rows() == 0 ? 1 : std::max<std::int64_t>(1, host.notes.record_tokens.max().item<std::int64_t>());
}

void give_positions(BlockSpec& spec, const std::string& name, const SequenceLayout& layout, std::int64_t width) {
  spec.gives = {name};
  spec.shape_reads = fields_of_positions(layout);
  spec.shapes = [layout, width](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    std::vector<std::int64_t> sizes{batch.rows(), positions(batch, layout)};
    if (width > 0) sizes.push_back(width);
    return {{std::move(sizes)}};
  };
}

void give_records(BlockSpec& spec, const std::string& name, std::int64_t width) {
  spec.gives = {name};
  spec.shapes = [width](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> { return {{{batch.rows(), width}}}; };
}

at::Tensor valid_positions(const BlockInput& in, const SequenceLayout& layout) { return valid_of(in.batch, positions(in.host, layout), layout); }

at::Tensor valid_lengths(const Batch& host, const SequenceLayout& layout) { return valid_of(host, positions(host, layout), layout).sum(1); }

at::Tensor note_hours(const BlockInput& in, const SequenceLayout& layout) {
  return valid_positions(in, layout).logical_and(in.batch.presence.select(1, column_notes).unsqueeze(1));
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
