// Leaves of random records for tests of whole models: every value belongs to (record id, field), so a record has the same values in any leaf.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/key.h"
#include "batches/batch.h"
#include "batches/note_windows.h"

namespace tributary::testing_support {

// Two sensor groups of 2 and 3 channels, 3 static features, notes, a task of every kind.
inline Schema random_schema(std::int64_t steps) {
  Schema schema;
  schema.steps = steps;
  schema.statics = {{"age", "years"}, {"height", "cm"}, {"weight", "kg"}};
  schema.series = {{"vitals", {{"heart rate", "1/min"}, {"temperature", "C"}}}, {"labs", {{"sodium", "mmol/l"}, {"urea", "mmol/l"}, {"glucose", "mmol/l"}}}};
  schema.notes = true;
  schema.tasks = {{"mortality", TaskKind::binary, {"alive", "dead"}},
                  {"diagnosis", TaskKind::multiclass, {"a", "b", "c"}},
                  {"medication", TaskKind::multilabel, {"a", "b", "c", "d"}},
                  {"stay", TaskKind::regression, {}}};
  return schema;
}

// Notes, concepts of two types, two tasks of records and a directed relation of three classes between them.
inline Schema random_text_schema() {
  Schema schema;
  schema.steps = 1;
  schema.notes = true;
  schema.concept_types = {"drug", "disease"};
  schema.tasks = {{"mortality", TaskKind::binary, {"alive", "dead"}},
                  {"relation", TaskKind::relation, {"none", "causes", "treats"}, {{0, 1}, {1, 0}}},
                  {"stay", TaskKind::regression, {}}};
  return schema;
}

struct RandomRecord {
  std::uint64_t id = 0;
  std::int64_t steps = 0;
  bool statics = true, series = true;
  std::int64_t notes = 0;
};

// A leaf's worth of records with all sorts of absences and lengths.
inline std::vector<RandomRecord> mixed_records(std::int64_t steps) {
  return {{1, steps, true, true, 2}, {2, steps - 2, true, true, 0}, {3, steps - 1, true, false, 1}, {4, 4, false, false, 0},
          {5, 2, false, true, 3},    {6, 1, true, true, 1},         {7, steps, false, false, 2},    {8, 3, true, false, 0}};
}

inline constexpr std::int64_t random_vocabulary = 30;

namespace detail {

inline double number(std::uint64_t id, std::uint64_t field, std::uint64_t index) { return 2 * uniform(derive_key(Draw::synth, {id, field}), index) - 1; }

inline void fill_row(const at::Tensor& tensor, std::int64_t row, std::int64_t count, std::uint64_t id, std::uint64_t field, const auto& shape) {
  auto* values = tensor.data_ptr<double>() + row * (tensor.numel() / tensor.size(0));
  for (std::int64_t i = 0; i < count; ++i) values[i] = shape(number(id, field, static_cast<std::uint64_t>(i)));
}

inline NoteTensors random_notes(const std::vector<RandomRecord>& records) {
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<std::vector<std::uint8_t>> marks;
  std::vector<NoteSpan> spans;
  for (std::size_t b = 0; b < records.size(); ++b) {
    for (std::int64_t note = 0; note < records[b].notes; ++note) {
      const std::uint64_t field = 100 + static_cast<std::uint64_t>(note), id = records[b].id;
      const auto tokens = static_cast<std::int64_t>(3 + 10 * std::abs(number(id, field, 999)));
      ids.emplace_back();
      marks.emplace_back();
      for (std::int64_t i = 0; i < tokens; ++i) {
        const double draw = number(id, field, static_cast<std::uint64_t>(i));
        ids.back().push_back(static_cast<std::int32_t>(4 + std::floor((draw + 1) * 0.5 * (random_vocabulary - 4))));
        const double mark = number(id, field + 50, static_cast<std::uint64_t>(i));
        marks.back().push_back(static_cast<std::uint8_t>((mark > 0.5 ? starts_sentence : 0) | (mark > 0.8 ? starts_paragraph : 0)));
      }
      const auto hour = static_cast<std::int64_t>((number(id, field, 998) + 1) * 0.5 * static_cast<double>(records[b].steps));
      spans.push_back({nullptr, nullptr, tokens, static_cast<std::int64_t>(b), hour});
    }
  }
  for (std::size_t n = 0; n < spans.size(); ++n) {
    spans[n].ids = ids[n].data();
    spans[n].marks = marks[n].data();
  }
  NoteTensors notes = make_note_tensors(spans, {8, 4}, SpecialTokens{});
  notes.record_tokens = at::zeros({static_cast<std::int64_t>(records.size())}, at::kLong);
  for (const NoteSpan& span : spans) notes.record_tokens[span.row] += span.tokens;
  return notes;
}

inline at::Tensor integers(const std::vector<std::int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

// A record has id % 4 concepts, each with up to two mentions (none where it has no token), and one mention of no concept.
inline MentionTensors random_mentions(const std::vector<RandomRecord>& records, const at::Tensor& record_tokens) {
  std::vector<std::int64_t> token, record, concept_number, distinct, concept_record;
  for (std::size_t b = 0; b < records.size(); ++b) {
    const auto tokens = record_tokens[static_cast<std::int64_t>(b)].item<std::int64_t>();
    const auto add = [&](std::int64_t number, std::uint64_t draw) {
      if (tokens == 0) return;
      token.push_back(static_cast<std::int64_t>((detail::number(records[b].id, 300, draw) + 1) * 0.5 * static_cast<double>(tokens)));
      record.push_back(static_cast<std::int64_t>(b));
      concept_number.push_back(number);
      if (draw % 10 != 1) distinct.push_back(static_cast<std::int64_t>(token.size()) - 1);  // the others stand at places that a mention has already
    };
    for (std::uint64_t k = 0; k < records[b].id % 4; ++k) {
      const auto number = static_cast<std::int64_t>(concept_record.size());
      for (std::uint64_t mention = 0; mention < (records[b].id + 2 * k) % 3; ++mention) add(number, 10 * k + mention);
      concept_record.push_back(static_cast<std::int64_t>(b));
    }
    add(-1, 99);
  }
  MentionTensors mentions;
  mentions.token = integers(token);
  mentions.record = integers(record);
  mentions.concept_number = integers(concept_number);
  mentions.distinct = integers(distinct);
  mentions.concept_record = integers(concept_record);
  return mentions;
}

// Every ordered pair of a record's concepts.
inline PairTensors random_pairs(const std::vector<RandomRecord>& records, const Task& task) {
  std::vector<std::int64_t> head, tail, record, label, known;
  std::int64_t first = 0;
  for (std::size_t b = 0; b < records.size(); ++b) {
    const auto concepts = static_cast<std::int64_t>(records[b].id % 4);
    for (std::int64_t h = 0; h < concepts; ++h)
      for (std::int64_t t = 0; t < concepts; ++t) {
        if (h == t) continue;
        const double draw = detail::number(records[b].id, 310, static_cast<std::uint64_t>(10 * h + t));
        head.push_back(first + h);
        tail.push_back(first + t);
        record.push_back(static_cast<std::int64_t>(b));
        known.push_back(draw > -0.8);
        label.push_back(draw > -0.8 ? static_cast<std::int64_t>((draw + 1) * 0.5 * static_cast<double>(task.classes.size())) : 99);
      }
    first += concepts;
  }
  return {integers(head), integers(tail), integers(record), integers(label), integers(known).to(at::kBool)};
}

inline LabelTensors random_labels(const std::vector<RandomRecord>& records, const Task& task, std::uint64_t field, double padding) {
  const auto rows = static_cast<std::int64_t>(records.size()), width = task.label_width();
  LabelTensors labels{at::full({rows, width}, padding, at::kDouble), at::zeros({rows}, at::kBool)};
  for (std::int64_t b = 0; b < rows; ++b) {
    const std::uint64_t id = records[static_cast<std::size_t>(b)].id;
    if (number(id, field, 999) < -0.6) continue;  // a missing label
    labels.valid.data_ptr<bool>()[b] = true;
    fill_row(labels.value, b, width, id, field, [&](double x) {
      if (task.kind == TaskKind::regression) return x + 1;
      return task.kind == TaskKind::multiclass ? std::floor((x + 1) * 0.5 * static_cast<double>(task.classes.size())) : x > 0 ? 1.0 : 0.0;
    });
  }
  return labels;
}

}  // namespace detail

// Padding, absent inputs and missing labels hold `padding`. In double; to_type() makes others.
inline Batch random_leaf(const Schema& schema, const std::vector<RandomRecord>& records, double padding) {
  const auto rows = static_cast<std::int64_t>(records.size());
  Batch batch;
  batch.steps = at::zeros({rows}, at::kLong);
  batch.presence = at::zeros({rows, 4}, at::kBool);
  const auto statics = static_cast<std::int64_t>(schema.statics.size());
  batch.static_value = at::full({rows, statics}, padding, at::kDouble);
  batch.static_observed = at::full({rows, statics}, padding, at::kDouble);
  for (const SeriesGroup& group : schema.series) {
    const std::vector<std::int64_t> shape{rows, schema.steps, static_cast<std::int64_t>(group.channels.size())};
    batch.series.push_back({at::full(shape, padding, at::kDouble), at::full(shape, padding, at::kDouble), at::full(shape, padding, at::kDouble)});
  }
  for (std::int64_t b = 0; b < rows; ++b) {
    const RandomRecord& record = records[static_cast<std::size_t>(b)];
    batch.places.push_back({0, static_cast<std::int64_t>(record.id)});
    batch.steps.data_ptr<std::int64_t>()[b] = record.steps;
    bool* presence = batch.presence.data_ptr<bool>() + 4 * b;
    presence[0] = record.statics;
    presence[1] = record.series;
    presence[2] = record.notes > 0;
    if (record.statics) {
      detail::fill_row(batch.static_value, b, statics, record.id, 1, [](double x) { return x; });
      detail::fill_row(batch.static_observed, b, statics, record.id, 2, [](double x) { return x > -0.4 ? 1.0 : 0.0; });
    }
    for (std::size_t g = 0; g < schema.series.size() && record.series; ++g) {
      const std::int64_t count = record.steps * static_cast<std::int64_t>(schema.series[g].channels.size());
      detail::fill_row(batch.series[g].value, b, count, record.id, 10 + g, [](double x) { return 1.5 * x; });
      detail::fill_row(batch.series[g].observed, b, count, record.id, 20 + g, [](double x) { return x > 0 ? 1.0 : 0.0; });
      detail::fill_row(batch.series[g].delta, b, count, record.id, 30 + g, [](double x) { return std::abs(x); });
    }
  }
  batch.notes = detail::random_notes(records);
  if (schema.has_entities()) batch.mentions = detail::random_mentions(records, batch.notes.record_tokens);
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const bool relation = schema.tasks[t].kind == TaskKind::relation;
    batch.pairs.push_back(relation ? detail::random_pairs(records, schema.tasks[t]) : PairTensors{});
    if (relation)
      batch.labels.push_back({batch.pairs[t].label.to(at::kDouble).unsqueeze(1), batch.pairs[t].known});
    else
      batch.labels.push_back(detail::random_labels(records, schema.tasks[t], 200 + t, padding));
  }
  return batch;
}

}  // namespace tributary::testing_support
