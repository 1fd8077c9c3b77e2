#include "ingest/record_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace tributary {
namespace {

template <class Items>
int find_named(const Items& items, const std::string& name) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
  return found == items.end() ? -1 : static_cast<int>(found - items.begin());
}

void same_unit(const Channel& ours, const Channel& theirs) {
  if (ours.unit != theirs.unit)
    fail(ErrorKind::data, "'{}' has the unit '{}' in the recipe and '{}' in the other shards; convert it in the recipe", ours.name, ours.unit, theirs.unit);
}

// Names that one side has and the other lacks.
void compare(const std::set<std::string>& recipe, const std::set<std::string>& schema, std::vector<std::string>& differences) {
  for (const std::string& name : recipe)
    if (!schema.contains(name)) differences.push_back(name + " is left out: the other shards do not have it");
  for (const std::string& name : schema)
    if (!recipe.contains(name)) differences.push_back(name + " is never observed: the recipe does not have it");
}

std::set<std::string> names_of(const Schema& schema) {
  std::set<std::string> names;
  for (const Channel& channel : schema.statics) names.insert("static " + channel.name);
  for (const SeriesGroup& group : schema.series)
    for (const Channel& channel : group.channels) names.insert("series " + group.name + "/" + channel.name);
  for (const Task& task : schema.tasks) names.insert("task " + task.name);
  if (schema.notes) names.insert("notes");
  if (schema.image.size() > 0) names.insert("images");
  return names;
}

int find_static(const Schema& schema, const Channel& channel) {
  const int found = find_named(schema.statics, channel.name);
  if (found >= 0) same_unit(channel, schema.statics[static_cast<std::size_t>(found)]);
  return found;
}

// Types, classes and candidates are stored as numbers: they must be those of the other shards, in their order.
void same_entities(const Schema& recipe, const Schema& other) {
  if (recipe.concept_types != other.concept_types) fail(ErrorKind::data, "the recipe's types of concepts are not those of the other shards, in their order");
  for (const Task& task : recipe.tasks) {
    const int found = find_named(other.tasks, task.name);
    if (task.kind == TaskKind::relation && found >= 0 && other.tasks[static_cast<std::size_t>(found)] != task)
      fail(ErrorKind::data, "relation task '{}' has other classes, candidates or direction in the recipe than in the other shards", task.name);
  }
}

}  // namespace

RecordLayout lay_out(const Recipe& recipe, const Schema& schema) {
  RecordLayout layout;
  layout.schema = schema;
  if (schema.steps != recipe.hours) fail(ErrorKind::data, "the recipe's records have {} hours, those of the other shards {}", recipe.hours, schema.steps);
  for (const SeriesRule& rule : recipe.series) {
    const int group = find_named(schema.series, rule.name);
    auto& places = layout.series.emplace_back(rule.channels.size());
    for (std::size_t c = 0; group >= 0 && c < rule.channels.size(); ++c) {
      const auto& channels = schema.series[static_cast<std::size_t>(group)].channels;
      places[c] = {group, find_named(channels, rule.channels[c].channel.name)};
      if (places[c].channel >= 0) same_unit(rule.channels[c].channel, channels[static_cast<std::size_t>(places[c].channel)]);
    }
  }
  for (const StaticRule& rule : recipe.statics) {
    auto& places = layout.statics.emplace_back();
    if (rule.categories.empty()) places.push_back(find_static(schema, rule.channel));
    for (const Category& category : rule.categories) places.push_back(find_static(schema, {rule.channel.name + "=" + category.name, "0/1"}));
  }
  for (const TaskRule& rule : recipe.tasks) {
    const int task = find_named(schema.tasks, rule.name);
    layout.tasks.push_back(task);
    if (task >= 0 && schema.tasks[static_cast<std::size_t>(task)].kind != rule.kind)
      fail(ErrorKind::data, "task '{}' is {} in the recipe and {} in the other shards", rule.name, name_of(rule.kind),
           name_of(schema.tasks[static_cast<std::size_t>(task)].kind));
  }
  compare(names_of(schema_of(recipe)), names_of(schema), layout.differences);
  same_entities(schema_of(recipe), schema);
  return layout;
}

}  // namespace tributary
