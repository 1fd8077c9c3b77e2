// Finds records of a data set by the source's own id.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "shards/catalogue.h"
#include "shards/shard_reader.h"

namespace tributary::test {

struct DataSet {
  Catalogue catalogue;
  std::vector<RecordBlock> parts;
};

inline DataSet read_data_set(const std::filesystem::path& directory) {
  DataSet set{load_catalogue(directory), {}};
  ShardReader reader(directory, set.catalogue, Verify::always);
  FieldSelection fields;
  fields.text = true;
  for (std::size_t part = 0; part < set.catalogue.parts.size(); ++part)
    set.parts.push_back(reader.read(static_cast<int>(part), 0, set.catalogue.parts[part].total_rows(), fields));
  return set;
}

// One record's columns, by name.
class RecordView {
 public:
  RecordView(const DataSet& set, const std::string& id) : set_(set) {
    for (const RecordBlock& part : set.parts)
      for (std::size_t row = 0; row < part.ids.size(); ++row)
        if (part.ids[row] == id) {
          block_ = &part;
          row_ = row;
        }
    if (block_ == nullptr) throw std::runtime_error("no record " + id);
  }
  struct Value {
    float value = 0;
    bool observed = false;
    bool operator==(const Value&) const = default;
  };
  [[nodiscard]] Value feature(const std::string& name) const {
    const auto& statics = set_.catalogue.schema.statics;
    const std::size_t cell = row_ * statics.size() + place(statics, name);
    return {block_->static_values[cell], block_->static_observed[cell] == 1};
  }
  [[nodiscard]] Value series(const std::string& group, const std::string& channel, std::size_t hour) const {
    const std::size_t g = place(set_.catalogue.schema.series, group);
    const auto& channels = set_.catalogue.schema.series[g].channels;
    const std::size_t cell = (row_ * static_cast<std::size_t>(set_.catalogue.schema.steps) + hour) * channels.size() + place(channels, channel);
    return {block_->series[g].values[cell], block_->series[g].observed[cell] == 1};
  }
  struct Note {
    std::int32_t hour = 0;
    std::string text;
    bool operator==(const Note&) const = default;
  };
  [[nodiscard]] std::vector<Note> notes() const {
    std::vector<Note> result;
    const NoteColumns& notes = block_->notes;
    for (auto n = static_cast<std::size_t>(notes.note_offsets[row_]); n < static_cast<std::size_t>(notes.note_offsets[row_ + 1]); ++n) {
      const auto begin = static_cast<std::size_t>(notes.text_offsets[n]);
      result.push_back({notes.hour[n], notes.text.substr(begin, static_cast<std::size_t>(notes.text_offsets[n + 1]) - begin)});
    }
    return result;
  }
  // The names of the classes that hold; {"unknown"} where the label is not valid.
  [[nodiscard]] std::vector<std::string> label(const std::string& name) const {
    const std::size_t t = place(set_.catalogue.schema.tasks, name);
    const Task& task = set_.catalogue.schema.tasks[t];
    const LabelColumns& labels = block_->labels[t];
    if (labels.valid[row_] == 0) return {"unknown"};
    const auto width = static_cast<std::size_t>(task.label_width());
    if (task.kind != TaskKind::multilabel) return {task.classes[static_cast<std::size_t>(labels.values[row_])]};
    std::vector<std::string> result;
    for (std::size_t c = 0; c < width; ++c)
      if (labels.values[row_ * width + c] == 1) result.push_back(task.classes[c]);
    return result;
  }
  [[nodiscard]] std::vector<float> inputs() const;  // every number a model sees of this record
  [[nodiscard]] std::uint8_t presence() const { return block_->presence[row_]; }

 private:
  template <class Items>
  static std::size_t place(const Items& items, const std::string& name) {
    const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
    if (found == items.end()) throw std::runtime_error("no field " + name);
    return static_cast<std::size_t>(found - items.begin());
  }
  const DataSet& set_;
  const RecordBlock* block_ = nullptr;
  std::size_t row_ = 0;
};

inline std::vector<float> RecordView::inputs() const {
  std::vector<float> result;
  const Schema& schema = set_.catalogue.schema;
  for (const Channel& channel : schema.statics) {
    const Value value = feature(channel.name);
    result.insert(result.end(), {value.value, value.observed ? 1.0F : 0.0F});
  }
  for (const SeriesGroup& group : schema.series)
    for (const Channel& channel : group.channels)
      for (std::size_t hour = 0; hour < static_cast<std::size_t>(schema.steps); ++hour) {
        const Value value = series(group.name, channel.name, hour);
        result.insert(result.end(), {value.value, value.observed ? 1.0F : 0.0F});
      }
  return result;
}

}  // namespace tributary::test
