// What a data set holds: fields, units, tasks. The catalogue stores it, the writer follows it, the collator and the model read it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct Channel {
  std::string name;
  std::string unit;
  bool operator==(const Channel&) const = default;
};

// Channels measured together, at hourly steps.
struct SeriesGroup {
  std::string name;
  std::vector<Channel> channels;
  bool operator==(const SeriesGroup&) const = default;
};

struct ImageShape {  // [channels, height, width]; all 0: the data set has no images
  std::int64_t channels = 0, height = 0, width = 0;
  [[nodiscard]] std::int64_t size() const { return channels * height * width; }
  bool operator==(const ImageShape&) const = default;
};

// masked_token: telling the tokens that a batch hides. Such a task belongs to a family of models; shards never hold it.
enum class TaskKind { binary, multiclass, multilabel, regression, relation, masked_token };
[[nodiscard]] std::string_view name_of(TaskKind kind);
[[nodiscard]] TaskKind task_kind(std::string_view name);  // of what shards hold. Throws: Error{data} for an unknown name

// Types of the head and of the tail of a pair of concepts: numbers in Schema::concept_types.
struct TypePair {
  std::int32_t head = 0, tail = 0;
  bool operator==(const TypePair&) const = default;
};

struct Task {
  std::string name;
  TaskKind kind = TaskKind::binary;
  std::vector<std::string> classes;  // binary: {negative, positive}; multiclass, multilabel: the label map; regression: empty; relation: the first is "none"
  // Relation tasks have a label for each candidate: an ordered pair of two concepts of a record whose types are one of these.
  std::vector<TypePair> candidates;
  bool directed = true;  // relation: false: of two concepts of the same type only (lower number, higher number) is a candidate
  // Numbers of one label: 1, or for multilabel one 0/1 per class.
  [[nodiscard]] std::int64_t label_width() const { return kind == TaskKind::multilabel ? static_cast<std::int64_t>(classes.size()) : 1; }
  // Numbers stored per record: those of its label; the labels of a relation task are those of pairs and stand with the relations.
  [[nodiscard]] std::int64_t stored_width() const { return kind == TaskKind::relation || kind == TaskKind::masked_token ? 0 : label_width(); }
  // Numbers that a model says of one label: 1 for binary and regression, 2 for a masked token (block.h), else the number of classes.
  [[nodiscard]] std::int64_t output_width() const {
    if (kind == TaskKind::masked_token) return 2;
    return kind == TaskKind::binary || kind == TaskKind::regression ? 1 : static_cast<std::int64_t>(classes.size());
  }
  bool operator==(const Task&) const = default;
};

struct Schema {
  std::int64_t steps = 0;  // hours of every series, T
  std::vector<Channel> statics;
  std::vector<SeriesGroup> series;
  bool notes = false;
  ImageShape image;
  std::vector<Task> tasks;                 // at most 64: the index keeps one valid bit a task
  std::vector<std::string> concept_types;  // names of the types of concepts and mentions in the notes; empty: the notes have none
  [[nodiscard]] bool has_entities() const { return !concept_types.empty(); }
  [[nodiscard]] std::vector<std::size_t> relation_tasks() const;  // their numbers in `tasks`, ascending
  bool operator==(const Schema&) const = default;
};

enum class Split : std::uint8_t { train = 0, validation = 1, test = 2 };
inline constexpr int split_count = 3;
inline constexpr std::array<Split, split_count> all_splits{Split::train, Split::validation, Split::test};
[[nodiscard]] std::string_view name_of(Split split);
[[nodiscard]] std::optional<Split> split_named(std::string_view name);  // nullopt for "all"; Throws: Error{configuration} for anything unknown

// Throws: Error{data} naming the first thing a data set cannot hold: a name that is empty, doubled or not of [A-Za-z0-9_.-] (groups and tasks: they name
// places in the file), a series without hours or channels, hours above 65535, an image with an empty side, more than 64 tasks, a label map that is too short,
// concept types without notes, a relation task without candidates or with the same pair of types in both orders although its direction does not matter.
void check_schema(const Schema& schema);

// Presence bits of a record, as stored in its index row.
enum Presence : std::uint8_t { has_static = 1, has_series = 2, has_notes = 4, has_image = 8 };

}  // namespace tributary
