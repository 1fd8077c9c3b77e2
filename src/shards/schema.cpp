#include "shards/schema.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/error.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

constexpr std::array<std::string_view, 6> task_kinds{"binary", "multiclass", "multilabel", "regression", "relation", "masked_token"};
constexpr std::array<std::string_view, split_count> splits{"train", "validation", "test"};

bool is_path_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; });
}

void check_channels(const std::vector<Channel>& channels, std::string_view of) {
  std::set<std::string> seen;
  for (const Channel& channel : channels) {
    if (channel.name.empty()) fail(ErrorKind::data, "schema: a channel of {} has no name", of);
    if (!seen.insert(channel.name).second) fail(ErrorKind::data, "schema: {} has two channels named '{}'", of, channel.name);
  }
}

void check_task(const Task& task) {
  const std::size_t classes = task.classes.size();
  if (!is_stored(task.kind)) fail(ErrorKind::data, "schema: task '{}' is of kind {}, of which shards hold no labels", task.name, name_of(task.kind));
  if (task.kind == TaskKind::binary && classes != 2)
    fail(ErrorKind::data, "schema: binary task '{}' has {} classes; give {{negative, positive}}", task.name, classes);
  if (task.kind == TaskKind::multiclass && classes < 2) fail(ErrorKind::data, "schema: multi-class task '{}' has {} classes", task.name, classes);
  if (task.kind == TaskKind::multilabel && classes < 1) fail(ErrorKind::data, "schema: multi-label task '{}' has no labels", task.name);
  if (task.kind == TaskKind::regression && classes != 0) fail(ErrorKind::data, "schema: regression task '{}' has classes", task.name);
  if (task.kind == TaskKind::relation && (classes < 2 || classes > 65535))
    fail(ErrorKind::data, "schema: relation task '{}' has {} classes; \"none\" and at least one relation", task.name, classes);
  if (task.kind != TaskKind::relation && !task.candidates.empty()) fail(ErrorKind::data, "schema: task '{}' has candidates but is no relation task", task.name);
  const std::set<std::string> names(task.classes.begin(), task.classes.end());
  if (names.size() != classes) fail(ErrorKind::data, "schema: task '{}' names a class twice", task.name);
}

void check_candidates(const Task& task, const std::vector<std::string>& types) {
  if (task.kind != TaskKind::relation) return;
  if (task.candidates.empty()) fail(ErrorKind::data, "schema: relation task '{}' has no candidates: pairs of concept types that it looks at", task.name);
  const auto count = static_cast<std::int32_t>(types.size());
  std::set<std::pair<std::int32_t, std::int32_t>> seen;
  for (const TypePair& pair : task.candidates) {
    if (pair.head < 0 || pair.tail < 0 || pair.head >= count || pair.tail >= count)
      fail(ErrorKind::data, "schema: relation task '{}' names the concept types {} and {}; there are {}", task.name, pair.head, pair.tail, count);
    const bool doubled = !seen.insert({pair.head, pair.tail}).second || (!task.directed && pair.head != pair.tail && seen.contains({pair.tail, pair.head}));
    if (doubled)
      fail(ErrorKind::data, "schema: relation task '{}' has the candidates '{}' and '{}' twice{}", task.name, types[static_cast<std::size_t>(pair.head)],
           types[static_cast<std::size_t>(pair.tail)], task.directed ? "" : "; its direction does not matter: give one order");
  }
}

void check_concept_types(const Schema& schema) {
  if (!schema.has_entities()) return;
  if (!schema.notes) fail(ErrorKind::data, "schema: concept types without notes, in which concepts are mentioned");
  if (schema.concept_types.size() > 255) fail(ErrorKind::data, "schema: {} concept types; 255 at most", schema.concept_types.size());
  std::set<std::string> names;
  for (const std::string& name : schema.concept_types)
    if (name.empty() || !names.insert(name).second) fail(ErrorKind::data, "schema: concept type '{}' is empty or doubled", name);
}

}  // namespace

std::vector<std::size_t> Schema::relation_tasks() const {
  std::vector<std::size_t> numbers;
  for (std::size_t t = 0; t < tasks.size(); ++t)
    if (tasks[t].kind == TaskKind::relation) numbers.push_back(t);
  return numbers;
}

std::string_view name_of(TaskKind kind) { return task_kinds[static_cast<std::size_t>(kind)]; }

TaskKind task_kind(std::string_view name) {
  const auto* found = std::find(task_kinds.begin(), task_kinds.end(), name);
  if (found == task_kinds.end() || !is_stored(static_cast<TaskKind>(found - task_kinds.begin())))
    fail(ErrorKind::data, "task kind '{}' is unknown; one of binary, multiclass, multilabel, regression, relation", name);
  return static_cast<TaskKind>(found - task_kinds.begin());
}

std::string_view name_of(Split split) { return splits[static_cast<std::size_t>(split)]; }

std::optional<Split> split_named(std::string_view name) {
  if (name == "all") return std::nullopt;
  const auto* found = std::find(splits.begin(), splits.end(), name);
  if (found == splits.end()) fail(ErrorKind::configuration, "split '{}' is unknown; one of train, validation, test, all", name);
  return static_cast<Split>(found - splits.begin());
}

void check_schema(const Schema& schema) {
  if (schema.steps < 0 || schema.steps > 65535) fail(ErrorKind::data, "schema: {} hours; 0 to 65535 are possible", schema.steps);
  if (!schema.series.empty() && schema.steps == 0) fail(ErrorKind::data, "schema: series without hours");
  check_channels(schema.statics, "static");
  std::set<std::string> groups, tasks;
  for (const SeriesGroup& group : schema.series) {
    if (!is_path_name(group.name) || !groups.insert(group.name).second)
      fail(ErrorKind::data, "schema: series group name '{}' is doubled or not of letters, digits, '_', '.', '-'", group.name);
    if (group.channels.empty()) fail(ErrorKind::data, "schema: series group '{}' has no channels", group.name);
    check_channels(group.channels, "group '" + group.name + "'");
  }
  const ImageShape& image = schema.image;
  const bool no_image = image == ImageShape{};
  if (!no_image && (image.channels < 1 || image.height < 1 || image.width < 1))
    fail(ErrorKind::data, "schema: image of {} x {} x {}; all three at least 1, or all 0 for none", image.channels, image.height, image.width);
  if (schema.tasks.size() > 64) fail(ErrorKind::data, "schema: {} tasks; 64 at most", schema.tasks.size());
  for (const Task& task : schema.tasks) {
    if (!is_path_name(task.name) || !tasks.insert(task.name).second)
      fail(ErrorKind::data, "schema: task name '{}' is doubled or not of letters, digits, '_', '.', '-'", task.name);
    check_task(task);
    check_candidates(task, schema.concept_types);
  }
  check_concept_types(schema);
}

}  // namespace tributary
