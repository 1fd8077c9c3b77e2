#include "ingest/record_assembler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "ingest/label_map.h"
#include "ingest/note_text.h"

namespace tributary {
namespace {

// The value of one channel in one hour, as its events come in order of time.
class HourlyValue {
 public:
  void add(double value) {
    if (count_ == 0) first_ = lowest_ = highest_ = value;
    ++count_;
    sum_ += value;
    last_ = value;
    lowest_ = std::min(lowest_, value);
    highest_ = std::max(highest_, value);
  }
  [[nodiscard]] double result(Hourly hourly) const {
    switch (hourly) {
      case Hourly::last:
        return last_;
      case Hourly::first:
        return first_;
      case Hourly::mean:
        return sum_ / static_cast<double>(count_);
      case Hourly::sum:
        return sum_;
      case Hourly::minimum:
        return lowest_;
      case Hourly::maximum:
        return highest_;
      case Hourly::count:
        return static_cast<double>(count_);
    }
    return last_;
  }

 private:
  double first_ = 0, last_ = 0, sum_ = 0, lowest_ = 0, highest_ = 0;
  std::int64_t count_ = 0;
};

float stored(const NumberRule& rule, double value) { return static_cast<float>(rule.log1p ? std::log1p(value) : value); }

}  // namespace

// The events of one record by target, in order of time.
struct RecordAssembler::RowEvents {
  const EventList* list = nullptr;
  std::vector<std::vector<Event>> by_target;
};

RecordAssembler::RecordAssembler(const Recipe& recipe, const RecordLayout& layout, const Tokenizer* tokenizer, const Dictionary* dictionary)
    : recipe_(recipe), layout_(layout), tokenizer_(tokenizer), dictionary_(dictionary), targets_(targets_of(recipe)) {}

RecordBlock RecordAssembler::assemble(const std::vector<SampleRow>& rows, const EventList& events, std::int64_t first, std::int64_t count) const {
  const Schema& schema = layout_.schema;
  const auto n = static_cast<std::size_t>(count);
  const auto hours = static_cast<std::size_t>(schema.steps);
  RecordBlock block;
  block.rows = count;
  block.presence.assign(n, 0);
  block.steps.assign(n, static_cast<std::int32_t>(schema.steps));
  block.static_values.assign(n * schema.statics.size(), 0);
  block.static_observed.assign(n * schema.statics.size(), 0);
  for (const SeriesGroup& group : schema.series)
    block.series.push_back({std::vector<float>(n * hours * group.channels.size()), std::vector<std::uint8_t>(n * hours * group.channels.size())});
  block.images.assign(n * static_cast<std::size_t>(schema.image.size()), 0);
  for (const Task& task : schema.tasks)
    block.labels.push_back({std::vector<float>(n * static_cast<std::size_t>(task.stored_width())), std::vector<std::uint8_t>(n)});
  block.notes.note_offsets = block.notes.text_offsets = block.notes.token_offsets = {0};
  EntityColumns& entities = block.entities;
  if (schema.has_entities()) entities.concept_offsets = entities.concept_id_offsets = entities.mention_offsets = entities.relation_offsets = {0};

  const auto row_of = [](const Event& event, std::uint32_t row) { return event.row < row; };
  auto at = std::lower_bound(events.events.begin(), events.events.end(), static_cast<std::uint32_t>(first), row_of);
  for (std::size_t row = 0; row < n; ++row) {
    const SampleRow& sample = rows[static_cast<std::size_t>(first) + row];
    block.ids.push_back(sample.id);
    block.patient.push_back(sample.patient);
    block.split.push_back(static_cast<std::uint8_t>(sample.split));
    RowEvents own{&events, std::vector<std::vector<Event>>(targets_.size())};
    for (; at != events.events.end() && at->row == static_cast<std::uint32_t>(first) + row; ++at) own.by_target[at->target].push_back(*at);
    add_series(block, row, own);
    add_statics(block, row, own);
    if (recipe_.documents)
      add_document(block, row, own);
    else
      add_notes(block, row, own);
    add_labels(block, row, own);
  }
  return block;
}

void RecordAssembler::add_series(RecordBlock& block, std::size_t row, const RowEvents& events) const {
  const auto hours = static_cast<std::size_t>(layout_.schema.steps);
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    const Target& target = targets_[t];
    if (target.kind != TargetKind::series || events.by_target[t].empty()) continue;
    const ColumnPlace place = layout_.series[target.index][target.channel];
    if (place.channel < 0) continue;
    const auto group = static_cast<std::size_t>(place.group);
    const std::size_t width = layout_.schema.series[group].channels.size();
    const ChannelRule& rule = recipe_.series[target.index].channels[target.channel];
    std::map<std::size_t, HourlyValue> values;
    for (const Event& event : events.by_target[t]) values[static_cast<std::size_t>(std::max(event.minute, 0) / 60)].add(event.value);
    for (const auto& [hour, value] : values) {
      const std::size_t cell = (row * hours + hour) * width + static_cast<std::size_t>(place.channel);
      block.series[group].values[cell] = stored(rule.number, value.result(rule.hourly));
      block.series[group].observed[cell] = 1;
      block.presence[row] |= has_series;
    }
  }
}

void RecordAssembler::add_statics(RecordBlock& block, std::size_t row, const RowEvents& events) const {
  const std::size_t width = layout_.schema.statics.size();
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    if (targets_[t].kind != TargetKind::feature || events.by_target[t].empty()) continue;
    const StaticRule& rule = recipe_.statics[targets_[t].index];
    const auto& own = events.by_target[t];
    const auto less = [](const Event& a, const Event& b) { return a.value < b.value; };
    const double value = rule.pick == Pick::first     ? own.front().value
                         : rule.pick == Pick::last    ? own.back().value
                         : rule.pick == Pick::minimum ? std::min_element(own.begin(), own.end(), less)->value
                                                      : std::max_element(own.begin(), own.end(), less)->value;
    const std::vector<int>& places = layout_.statics[targets_[t].index];
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places[i] < 0) continue;
      const std::size_t cell = row * width + static_cast<std::size_t>(places[i]);
      block.static_values[cell] = rule.categories.empty() ? stored(rule.number, value) : (value == static_cast<double>(i) ? 1.0F : 0.0F);
      block.static_observed[cell] = 1;
      block.presence[row] |= has_static;
    }
  }
}

// One note an hour and source; notes in order of hour, then of the recipe.
void RecordAssembler::add_notes(RecordBlock& block, std::size_t row, const RowEvents& events) const {
  NoteColumns& notes = block.notes;
  std::map<std::pair<std::int32_t, std::size_t>, std::vector<NoteEntry>> entries;
  for (std::size_t t = 0; layout_.schema.notes && t < targets_.size(); ++t) {
    if (targets_[t].kind != TargetKind::note) continue;
    for (const Event& event : events.by_target[t]) {
      const std::string_view text = events.list->text_of(event);
      const std::size_t end = text.find('\n');
      entries[{std::max(event.minute, 0) / 60, t}].push_back({std::string(text.substr(0, end)), std::string(text.substr(end + 1))});
    }
  }
  RecordEntities entities;
  std::int32_t number = 0;
  for (const auto& [place, sentences] : entries) add_note(block, row, place.first, join_entries(sentences), number++, entities);
  notes.note_offsets.push_back(static_cast<std::int64_t>(notes.hour.size()));
  if (layout_.schema.has_entities()) append_record(entities, layout_.tasks, block.entities);
}

void RecordAssembler::add_document(RecordBlock& block, std::size_t row, const RowEvents& events) const {
  RecordEntities entities;
  for (const Event& event : events.by_target.back()) {
    AnnotatedText document = annotated_text_from(events.list->text_of(event));
    entities = std::move(document.entities);
    add_note(block, row, 0, document.text, 0, entities);
  }
  block.notes.note_offsets.push_back(static_cast<std::int64_t>(block.notes.hour.size()));
  append_record(entities, layout_.tasks, block.entities);
}

// `number`: of the note in the record; `entities`: of the record, whose mentions in this note get their tokens.
void RecordAssembler::add_note(RecordBlock& block, std::size_t row, std::int32_t hour, const std::string& text, std::int32_t number,
                               RecordEntities& entities) const {
  NoteColumns& notes = block.notes;
  notes.hour.push_back(hour);
  notes.text += text;
  notes.text_offsets.push_back(static_cast<std::int64_t>(notes.text.size()));
  if (dictionary_ != nullptr) {
    for (const DictionaryMatch& match : dictionary_->find(text))
      entities.add_mention(number, match.begin, match.end, dictionary_->entry(match).type, {dictionary_->entry(match).id});
  }
  if (tokenizer_ != nullptr) {
    const Encoding encoding = tokenizer_->encode(text);
    notes.token_ids.insert(notes.token_ids.end(), encoding.ids.begin(), encoding.ids.end());
    notes.token_marks.insert(notes.token_marks.end(), encoding.marks.begin(), encoding.marks.end());
    entities.set_tokens(number, encoding.begin, encoding.end);
  }
  notes.token_offsets.push_back(static_cast<std::int64_t>(notes.token_ids.size()));
  block.presence[row] |= has_notes;
}

void RecordAssembler::add_labels(RecordBlock& block, std::size_t row, const RowEvents& events) const {
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    if (targets_[t].kind != TargetKind::task) continue;
    const int place = layout_.tasks[targets_[t].index];
    if (place < 0) continue;
    const Task& task = layout_.schema.tasks[static_cast<std::size_t>(place)];
    LabelColumns& labels = block.labels[static_cast<std::size_t>(place)];
    if (task.kind == TaskKind::relation) {  // documents tell their relations, of other notes nobody does
      labels.valid[row] = recipe_.documents ? 1 : 0;
      continue;
    }
    const auto width = static_cast<std::size_t>(task.label_width());
    const Outcome outcome = outcome_of(recipe_.tasks[targets_[t].index], *events.list, events.by_target[t], recipe_.horizon_minutes());
    labels.valid[row] = store_label(task, outcome, std::span(labels.values).subspan(row * width, width)) ? 1 : 0;
  }
}

}  // namespace tributary
