#include "batches/collator.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

constexpr float longest_gap_h = 48;  // delta is hours since the last measurement, at most this, over this

struct Modality {
  const char* name;
  Presence bit;
};
constexpr std::array<Modality, 4> modalities{{{"static", has_static}, {"series", has_series}, {"notes", has_notes}, {"image", has_image}}};

unsigned kept_modalities(const std::vector<std::string>& leave_out) {
  unsigned kept = has_static | has_series | has_notes | has_image;
  for (const std::string& name : leave_out) {
    const auto* found = std::find_if(modalities.begin(), modalities.end(), [&](const Modality& m) { return name == m.name; });
    if (found == modalities.end()) fail(ErrorKind::configuration, "data.leave_out: expected notes, series, static or image, found \"{}\"", name);
    kept &= ~static_cast<unsigned>(found->bit);
  }
  return kept;
}

FieldSelection both(FieldSelection fields, const FieldSelection& read) {
  fields.statics = fields.statics && read.statics;
  fields.series = fields.series && read.series;
  fields.tokens = fields.tokens && read.tokens;
  fields.images = fields.images && read.images;
  fields.labels = fields.labels && read.labels;
  fields.entities = fields.entities && read.entities;
  return fields;
}

inline double limited(double value, double limit) { return value < -limit ? -limit : value > limit ? limit : value; }

struct SeriesRow {
  const float* raw;
  const std::uint8_t* seen;
  float* value;
  float* observed;
  float* delta;
};

// One record, hour by hour; the channels of an hour are independent, so the inner loop runs in vector registers.
template <bool carry>
void impute(const SeriesRow& row, std::int64_t steps, std::size_t channels, const double* mean, const double* inverse, double clip, float* last, float* since) {
  std::fill(last, last + channels, 0.0F);
  std::fill(since, since + channels, longest_gap_h);
  for (std::int64_t t = 0; t < steps; ++t) {
    const std::size_t at = static_cast<std::size_t>(t) * channels;
    for (std::size_t c = 0; c < channels; ++c) {
      const bool seen = row.seen[at + c] != 0;
      const auto x = static_cast<float>(limited((static_cast<double>(row.raw[at + c]) - mean[c]) * inverse[c], clip));
      const float gap = since[c] + 1 < longest_gap_h ? since[c] + 1 : longest_gap_h;
      last[c] = seen ? x : carry ? last[c] : 0.0F;
      since[c] = seen ? 0.0F : gap;
      row.value[at + c] = last[c];
      row.observed[at + c] = seen ? 1.0F : 0.0F;
      row.delta[at + c] = since[c] / longest_gap_h;
    }
  }
}

at::Tensor floats(at::IntArrayRef shape) { return at::empty(shape, at::kFloat); }

void require(std::size_t found, std::int64_t expected, const char* column, const RowRef& row) {
  if (found != static_cast<std::size_t>(expected)) {
    fail(ErrorKind::data, "part {}, row {}: column '{}' has {} values in the block, the schema says {}; verify the shards", row.place.part, row.place.row,
         column, found, expected);
  }
}

}  // namespace

void check_settings(const DataConfig& config) {
  std::string faults;
  const std::int64_t tokens = config.window_tokens, stride = config.window_stride;
  if (stride < 1 || stride > tokens - 2)
    faults = fmt::format("data.window_stride = {} must be at least 1 and at most data.window_tokens - 2 = {}, or tokens between windows are lost", stride,
                         tokens - 2);
  try {
    static_cast<void>(kept_modalities(config.leave_out));
  } catch (const Error& fault) {
    faults += (faults.empty() ? "" : "\n") + std::string(fault.what());
  }
  if (!faults.empty()) throw Error(ErrorKind::configuration, faults);
}

FieldSelection fields_to_read(const Schema& schema, const DataConfig& config) {
  const unsigned kept = kept_modalities(config.leave_out);
  FieldSelection fields;
  fields.statics = (kept & has_static) != 0 && !schema.statics.empty();
  fields.series = (kept & has_series) != 0 && !schema.series.empty();
  fields.tokens = (kept & has_notes) != 0 && schema.notes;
  fields.images = (kept & has_image) != 0 && schema.image.size() > 0;
  fields.entities = schema.has_entities();
  return fields;
}

Collator::Scale Collator::scale_of(const std::vector<ChannelStatistics>& statistics) {
  Scale scale;
  for (const ChannelStatistics& channel : statistics) {
    if (!(channel.deviation > 0)) fail(ErrorKind::data, "normalisation: a deviation of {}; it must be above 0 (rebuild the shards)", channel.deviation);
    scale.mean.push_back(channel.mean);
    scale.inverse.push_back(1 / channel.deviation);
  }
  return scale;
}

Collator::Collator(Schema schema, const Normalisation& normalisation, const SpecialTokens& special, const DataConfig& config, const FieldSelection& read,
                   std::optional<PairMarking> marking, std::optional<MaskingRule> masking)
    : schema_(std::move(schema)),
      special_(special),
      config_(config),
      marking_(std::move(marking)),
      statics_(scale_of(normalisation.statics)),
      masking_(std::move(masking)),
      stored_tasks_(std::count_if(schema_.tasks.begin(), schema_.tasks.end(), [](const Task& task) { return is_stored(task.kind); })),
      fields_(both(fields_to_read(schema_, config), read)),
      reads_images_(read.images),
      kept_(kept_modalities(config.leave_out)) {
  if (config.imputation != "carry_forward" && config.imputation != "mean") {
    fail(ErrorKind::configuration, "data.imputation = '{}'; allowed: carry_forward, mean", config.imputation);
  }
  check_settings(config);
  check(masking_.has_value() == (stored_tasks_ < static_cast<std::int64_t>(schema_.tasks.size())),
        "Collator: a masking rule and a task of masked tokens go together");
  bool fits = normalisation.statics.size() == schema_.statics.size() && normalisation.series.size() == schema_.series.size();
  for (std::size_t g = 0; fits && g < schema_.series.size(); ++g) {
    fits = normalisation.series[g].size() == schema_.series[g].channels.size();
    series_.push_back(scale_of(normalisation.series[g]));
  }
  if (!fits) fail(ErrorKind::data, "the catalogue's normalisation has other channels than its schema; rebuild the shards");
}

bool Collator::shows(const RowRef& row, Presence bit) const {
  return (row.block->presence[static_cast<std::size_t>(row.row)] & kept_ & static_cast<unsigned>(bit)) != 0;
}

bool Collator::holds(const RowRef& row, Presence bit) const {
  const bool read = bit == has_static ? fields_.statics : bit == has_series ? fields_.series : bit == has_notes ? fields_.tokens : fields_.images;
  return read && shows(row, bit);
}

void Collator::check_rows(const std::vector<RowRef>& rows) const {
  for (const RowRef& row : rows) {
    const RecordBlock& block = *row.block;
    check(row.row >= 0 && row.row < block.rows, "Collator: row {} of {}", row.row, block.rows);
    require(block.steps.size(), block.rows, "steps", row);
    require(block.presence.size(), block.rows, "presence", row);
    if (const std::int32_t steps = block.steps[static_cast<std::size_t>(row.row)]; steps < 0 || steps > schema_.steps) {
      fail(ErrorKind::data, "part {}, row {}: {} valid hours, the schema has {}; verify the shards", row.place.part, row.place.row, steps, schema_.steps);
    }
    if (fields_.statics) require(block.static_values.size(), block.rows * static_cast<std::int64_t>(schema_.statics.size()), "statics", row);
    if (fields_.series) require(block.series.size(), static_cast<std::int64_t>(schema_.series.size()), "series", row);
    for (std::size_t g = 0; fields_.series && g < schema_.series.size(); ++g) {
      const std::int64_t cells = block.rows * schema_.steps * static_cast<std::int64_t>(schema_.series[g].channels.size());
      require(block.series[g].values.size(), cells, schema_.series[g].name.c_str(), row);
      require(block.series[g].observed.size(), cells, schema_.series[g].name.c_str(), row);
    }
    if (fields_.tokens) require(block.notes.note_offsets.size(), block.rows + 1, "notes", row);
    if (fields_.tokens && marking_)
      require(block.notes.text_offsets.size(), static_cast<std::int64_t>(block.notes.token_offsets.size()), "texts of notes", row);
    if (fields_.entities) {
      const EntityColumns& entities = block.entities;
      for (const auto* offsets : {&entities.concept_offsets, &entities.mention_offsets, &entities.relation_offsets})
        require(offsets->size(), block.rows + 1, "entities", row);
      if (fields_.tokens) require(entities.mention_token.size(), static_cast<std::int64_t>(entities.mention_note.size()), "tokens of mentions", row);
    }
    if (fields_.images) require(block.images.size(), block.rows * schema_.image.size(), "image", row);
    require(block.labels.size(), stored_tasks_, "labels", row);
  }
}

SeriesTensors Collator::collate_series(const std::vector<RowRef>& rows, std::size_t group) const {
  const auto records = static_cast<std::int64_t>(rows.size());
  const std::size_t channels = schema_.series[group].channels.size(), cells = static_cast<std::size_t>(schema_.steps) * channels;
  SeriesTensors out;
  for (at::Tensor* tensor : {&out.value, &out.observed, &out.delta}) *tensor = floats({records, schema_.steps, static_cast<std::int64_t>(channels)});
  const Scale& scale = series_[group];
  std::vector<float> state(2 * channels);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const RowRef& row = rows[b];
    float* value = out.value.data_ptr<float>() + b * cells;
    float* observed = out.observed.data_ptr<float>() + b * cells;
    float* delta = out.delta.data_ptr<float>() + b * cells;
    const std::int64_t steps = row.block->steps[static_cast<std::size_t>(row.row)];
    const std::size_t valid = static_cast<std::size_t>(steps) * channels;
    if (holds(row, has_series)) {
      const SeriesColumns& column = row.block->series[group];
      const std::size_t first = static_cast<std::size_t>(row.row) * cells;
      const SeriesRow cursor{column.values.data() + first, column.observed.data() + first, value, observed, delta};
      const auto fill = config_.imputation == "mean" ? &impute<false> : &impute<true>;
      fill(cursor, steps, channels, scale.mean.data(), scale.inverse.data(), config_.clip, state.data(), state.data() + channels);
    } else {
      std::fill(value, value + valid, 0.0F);
      std::fill(observed, observed + valid, 0.0F);
      std::fill(delta, delta + valid, 1.0F);
    }
    for (float* padding : {value, observed, delta}) std::fill(padding + valid, padding + cells, 0.0F);
  }
  return out;
}

void Collator::collate_statics(const std::vector<RowRef>& rows, Batch& batch) const {
  const std::size_t width = schema_.statics.size();
  const auto records = static_cast<std::int64_t>(rows.size());
  batch.static_value = at::zeros({records, static_cast<std::int64_t>(width)}, at::kFloat);
  batch.static_observed = at::zeros({records, static_cast<std::int64_t>(width)}, at::kFloat);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    if (width == 0 || !holds(rows[b], has_static)) continue;
    const std::size_t first = static_cast<std::size_t>(rows[b].row) * width;
    const float* raw = rows[b].block->static_values.data() + first;
    const std::uint8_t* seen = rows[b].block->static_observed.data() + first;
    float* value = batch.static_value.data_ptr<float>() + b * width;
    float* observed = batch.static_observed.data_ptr<float>() + b * width;
    for (std::size_t s = 0; s < width; ++s) {
      if (seen[s] == 0) continue;
      value[s] = static_cast<float>(limited((static_cast<double>(raw[s]) - statics_.mean[s]) * statics_.inverse[s], config_.clip));
      observed[s] = 1.0F;
    }
  }
}

// masked: one a note, or none where nothing is masked.
NoteTensors Collator::note_tensors(std::vector<NoteSpan> spans, const std::vector<MaskedNote>& masked) const {
  std::vector<std::int64_t> number, token;  // of the tokens to be told: which of the leaf's N, and what it is
  std::int64_t before = 0;
  for (std::size_t s = 0; s < masked.size(); before += spans[s].tokens, ++s) {
    for (const std::int64_t place : masked[s].targets) {
      number.push_back(before + place);
      token.push_back(spans[s].ids[place]);
    }
    spans[s].ids = masked[s].shown.data();
  }
  NoteTensors out = make_note_tensors(spans, {config_.window_tokens, config_.window_stride}, special_);
  if (!masking_) return out;
  out.masked_position = out.token_position.index_select(0, at::tensor(number, at::kLong));
  out.masked_token = at::tensor(token, at::kLong);
  return out;
}

NoteTensors Collator::collate_notes(const std::vector<RowRef>& rows, const std::optional<TrainingDraws>& training, std::vector<KeptNote>& kept) const {
  std::vector<NoteSpan> spans;
  std::vector<MaskedNote> masked;
  at::Tensor record_tokens = at::zeros({static_cast<std::int64_t>(rows.size())}, at::kLong);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    if (!schema_.notes || !holds(rows[b], has_notes)) continue;
    const NoteColumns& notes = rows[b].block->notes;
    const auto row = static_cast<std::size_t>(rows[b].row);
    const std::int64_t last = notes.note_offsets[row + 1];
    std::int64_t first = notes.note_offsets[row];
    if (config_.notes_per_record > 0) first = std::max(first, last - config_.notes_per_record);
    const std::int64_t last_hour = std::max<std::int64_t>(0, rows[b].block->steps[row] - 1);
    for (auto note = static_cast<std::size_t>(first); note < static_cast<std::size_t>(last); ++note) {
      const std::int64_t begin = notes.token_offsets[note];
      std::int64_t tokens = notes.token_offsets[note + 1] - begin;
      if (config_.tokens_per_note > 0) tokens = std::min(tokens, config_.tokens_per_note);
      if (tokens == 0) continue;
      std::int64_t& sequence = record_tokens.data_ptr<std::int64_t>()[b];
      kept.push_back({static_cast<std::int64_t>(b), static_cast<std::int64_t>(note) - notes.note_offsets[row], sequence, tokens});
      sequence += tokens;
      spans.push_back({notes.token_ids.data() + begin, notes.token_marks.data() + begin, tokens, static_cast<std::int64_t>(b),
                       std::clamp<std::int64_t>(notes.hour[note], 0, last_hour)});
      const std::span<const std::int32_t> ids(spans.back().ids, static_cast<std::size_t>(tokens));
      if (masking_) masked.push_back(mask_note(*masking_, masking_key(training, rows[b].place), kept.back().first, ids));
    }
  }
  NoteTensors out = note_tensors(std::move(spans), masked);
  out.record_tokens = record_tokens;
  return out;
}

at::Tensor Collator::collate_images(const std::vector<RowRef>& rows) const {
  if (schema_.image.size() == 0 || !reads_images_) return {};
  const auto size = static_cast<std::size_t>(schema_.image.size());
  at::Tensor images = floats({static_cast<std::int64_t>(rows.size()), schema_.image.channels, schema_.image.height, schema_.image.width});
  for (std::size_t b = 0; b < rows.size(); ++b) {
    float* image = images.data_ptr<float>() + b * size;
    if (!holds(rows[b], has_image)) {
      std::fill(image, image + size, 0.0F);
      continue;
    }
    const std::uint8_t* bytes = rows[b].block->images.data() + static_cast<std::size_t>(rows[b].row) * size;
    for (std::size_t i = 0; i < size; ++i) image[i] = static_cast<float>(bytes[i]) / 255.0F;
  }
  return images;
}

void Collator::collate_pairs(const std::vector<RowRef>& rows, std::size_t task, const std::optional<TrainingDraws>& training, Batch& batch) const {
  const PairTensors& pairs = batch.pairs.emplace_back(make_pair_tensors(schema_.tasks[task], task, rows, config_.negatives, training));
  batch.labels.push_back({pairs.label.to(at::kFloat).unsqueeze(1), pairs.known});
}

void Collator::collate_task(const std::vector<RowRef>& rows, std::size_t task, const std::optional<TrainingDraws>& training, Batch& batch) const {
  const TaskKind kind = schema_.tasks[task].kind;
  if (kind == TaskKind::relation && fields_.entities && fields_.labels) return collate_pairs(rows, task, training, batch);
  batch.pairs.emplace_back();
  if (kind == TaskKind::relation || (is_stored(kind) && !fields_.labels)) {
    batch.labels.emplace_back();
  } else if (kind == TaskKind::masked_token) {
    const at::Tensor& token = batch.notes.masked_token;
    batch.labels.push_back({token.to(at::kFloat).unsqueeze(1), at::ones({token.size(0)}, at::kBool)});  // exact: no vocabulary has 2^24 tokens
  } else {
    batch.labels.push_back(collate_labels(rows, task));
  }
}

LabelTensors Collator::collate_labels(const std::vector<RowRef>& rows, std::size_t task) const {
  const auto width = static_cast<std::size_t>(schema_.tasks[task].label_width());
  const auto records = static_cast<std::int64_t>(rows.size());
  LabelTensors out{at::zeros({records, static_cast<std::int64_t>(width)}, at::kFloat), at::zeros({records}, at::kBool)};
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const LabelColumns& column = rows[b].block->labels[task];
    const auto row = static_cast<std::size_t>(rows[b].row);
    if (column.valid[row] == 0) continue;
    out.valid.data_ptr<bool>()[b] = true;
    std::memcpy(out.value.data_ptr<float>() + b * width, column.values.data() + row * width, width * sizeof(float));
  }
  return out;
}

void Collator::collate_presence(const std::vector<RowRef>& rows, Batch& batch) const {
  const auto records = static_cast<std::int64_t>(rows.size());
  batch.steps = at::empty({records}, at::kLong);
  batch.presence = at::empty({records, static_cast<std::int64_t>(modalities.size())}, at::kBool);
  bool* presence = batch.presence.data_ptr<bool>();
  for (std::size_t b = 0; b < rows.size(); ++b) {
    batch.places.push_back(rows[b].place);
    batch.steps.data_ptr<std::int64_t>()[b] = rows[b].block->steps[static_cast<std::size_t>(rows[b].row)];
    for (const Modality& modality : modalities) *presence++ = shows(rows[b], modality.bit);
  }
}

Batch Collator::collate(const std::vector<RowRef>& rows, const std::optional<TrainingDraws>& training) const {
  check_rows(rows);
  Batch batch;
  batch.places.reserve(rows.size());
  collate_presence(rows, batch);
  for (std::size_t group = 0; group < schema_.series.size(); ++group) batch.series.push_back(collate_series(rows, group));
  collate_statics(rows, batch);
  std::vector<KeptNote> kept;
  batch.notes = collate_notes(rows, training, kept);
  if (fields_.entities) batch.mentions = make_mention_tensors(rows, kept, marking_ ? marking_->tokenizer.get() : nullptr);
  batch.image = collate_images(rows);
  for (std::size_t task = 0; task < schema_.tasks.size(); ++task) collate_task(rows, task, training, batch);
  if (marking_) {
    const at::Tensor record_tokens = batch.notes.record_tokens;
    batch.notes = make_pair_sequences(rows, kept, batch.mentions, batch.pairs[marking_->task], marking_->markers, config_.window_tokens, special_);
    batch.notes.record_tokens = record_tokens;
  }
  return batch;
}

}  // namespace tributary
