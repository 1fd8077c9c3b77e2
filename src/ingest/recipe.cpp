#include "ingest/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "ingest/pattern.h"
#include "ingest/toml_table.h"

namespace tributary {
namespace {

TableRule read_table(const std::string& name, TomlTable table) {
  TableRule rule;
  rule.name = name;
  rule.files = table.texts("files");
  if (rule.files.empty()) table.refuse("files", fmt::format("table '{}' needs 'files', a list of file patterns", name));
  rule.optional = table.flag("optional");
  rule.record = table.text("record");
  rule.record_from_file_name = table.flag("record_from_file_name");
  rule.record_with_file = table.flag("record_with_file");
  rule.time = table.text("time", "");
  rule.entered = table.text("entered", "");
  rule.format = static_cast<TimeFormat>(table.choice("format", {"minutes", "hours", "clock"}, 0));
  rule.lookback_hours = table.number("lookback_hours", 0);
  rule.known_hour = table.number("known_hour", 0);
  if (rule.time.empty() && !rule.entered.empty()) table.refuse("entered", "'entered' without 'time'");
  table.finish();
  return rule;
}

// {table = "name", value = "column", where = {column = "pattern"}, except = {...}}
RowRule read_rows(TomlTable& rows, const Recipe& recipe) {
  RowRule rule;
  const std::string name = rows.text("table");
  const auto found = std::find_if(recipe.tables.begin(), recipe.tables.end(), [&](const TableRule& table) { return table.name == name; });
  if (found == recipe.tables.end()) rows.refuse("table", fmt::format("there is no [table.{}] in this recipe", name));
  rule.table = static_cast<int>(found - recipe.tables.begin());
  rule.value = rows.text("value", "");
  rule.constant = rows.number("constant", 1);
  for (const auto& [key, conditions] : {std::pair{"where", &rule.where}, std::pair{"except", &rule.except}}) {
    TomlTable table = rows.table(key);
    for (const std::string& column : table.keys()) conditions->push_back({column, table.texts(column)});
  }
  return rule;
}

std::vector<RowRule> read_sources(TomlTable& owner, const Recipe& recipe) {
  std::vector<RowRule> rules;
  for (TomlTable& rows : owner.tables("from")) {
    rules.push_back(read_rows(rows, recipe));
    rows.finish();
  }
  if (rules.empty()) owner.refuse("from", "'from' is missing here: a list such as [{ table = \"lab\", value = \"labresult\" }]");
  return rules;
}

// Inputs must be known at the prediction hour, and a table without times says from which hour on it is.
void check_known(const TomlTable& owner, const Recipe& recipe, const std::vector<RowRule>& rules) {
  for (const RowRule& rule : rules) {
    const TableRule& table = recipe.tables[static_cast<std::size_t>(rule.table)];
    if (table.time.empty() && table.known_hour > static_cast<double>(recipe.hours))
      owner.refuse("from", fmt::format("table '{}' is known from hour {} on, after the prediction hour {}", table.name, table.known_hour, recipe.hours));
  }
}

NumberRule read_number(TomlTable& owner) {
  NumberRule rule;
  const std::vector<double> range = owner.numbers("range");
  if (!range.empty()) {
    if (range.size() != 2 || range[0] > range[1]) owner.refuse("range", "'range' must be [lowest, highest]");
    rule.lowest = range[0];
    rule.highest = range[1];
  }
  rule.percent = owner.flag("percent");
  rule.log1p = owner.choice("transform", {"none", "log1p"}, 0) == 1;
  if (rule.log1p && !(rule.lowest >= 0)) owner.refuse("transform", "log1p needs a range that begins at 0 or above");
  rule.unknown = owner.texts("unknown");
  for (const auto& pair : owner.lists("replace")) {
    if (pair.size() != 2) owner.refuse("replace", "'replace' must be a list of [spelling, number]");
    rule.replace.emplace_back(pair[0], pair[1]);
  }
  return rule;
}

Channel read_channel(TomlTable& owner, const NumberRule& number) {
  Channel channel{owner.text("name"), owner.text("unit", "")};
  if (number.log1p) channel.unit = fmt::format("log(1 + {})", channel.unit.empty() ? "1" : channel.unit);
  return channel;
}

std::vector<Category> read_categories(TomlTable& owner) {
  std::vector<Category> categories;
  for (const auto& list : owner.lists("categories")) {
    Category category{list[0], {list.begin() + (list.size() > 1 ? 1 : 0), list.end()}};
    categories.push_back(std::move(category));
  }
  return categories;
}

SeriesRule read_series(TomlTable group, const Recipe& recipe) {
  SeriesRule rule;
  rule.name = group.text("name");
  if (rule.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != std::string::npos)
    group.refuse("name", fmt::format("the name of series '{}' may have letters, digits, '_', '.' and '-': it names a group of the part files", rule.name));
  for (TomlTable& channel : group.tables("channel")) {
    ChannelRule& out = rule.channels.emplace_back();
    out.number = read_number(channel);
    out.channel = read_channel(channel, out.number);
    out.from = read_sources(channel, recipe);
    out.hourly = static_cast<Hourly>(channel.choice("hourly", {"last", "first", "mean", "sum", "minimum", "maximum", "count"}, 0));
    check_known(channel, recipe, out.from);
    for (const RowRule& rows : out.from)
      if (recipe.tables[static_cast<std::size_t>(rows.table)].time.empty()) channel.refuse("from", "a series needs a table with a 'time' column");
    channel.finish();
  }
  if (rule.channels.empty()) group.refuse("name", fmt::format("series '{}' has no [[series.channel]]", rule.name));
  group.finish();
  return rule;
}

StaticRule read_static(TomlTable table, const Recipe& recipe) {
  StaticRule rule;
  rule.number = read_number(table);
  rule.channel = read_channel(table, rule.number);
  rule.from = read_sources(table, recipe);
  rule.pick = static_cast<Pick>(table.choice("pick", {"first", "last", "minimum", "maximum"}, 0));
  rule.categories = read_categories(table);
  check_known(table, recipe, rule.from);
  table.finish();
  return rule;
}

NoteRule read_note(TomlTable table, const Recipe& recipe) {
  NoteRule rule;
  rule.as_is = table.flag("as_is");
  rule.prefix = table.text("prefix", rule.as_is ? "text" : "");
  if (rule.prefix.empty()) table.refuse("prefix", "a note needs 'prefix', or 'as_is = true'");
  rule.from = read_rows(table, recipe);
  rule.path = table.text("path", "");
  rule.text = table.text("text");
  rule.separator = table.text("separator", "/");
  rule.drop = table.texts("drop");
  check_known(table, recipe, {rule.from});
  if (rule.as_is && !rule.path.empty()) table.refuse("path", "'path' and 'as_is' exclude each other");
  if (!rule.as_is && recipe.tables[static_cast<std::size_t>(rule.from.table)].time.empty()) table.refuse("table", "notes need a table with a 'time' column");
  table.finish();
  return rule;
}

void check_task(const TomlTable& table, const TaskRule& rule) {
  const bool numeric = !rule.edges.empty() || rule.kind == TaskKind::regression;
  const int ways = (rule.categories.empty() ? 0 : 1) + (rule.edges.empty() ? 0 : 1) + (rule.fitted ? 1 : 0) + (rule.kind == TaskKind::regression ? 1 : 0);
  if (ways != 1) table.refuse("name", fmt::format("task '{}' needs exactly one of 'categories', 'edges' (with 'classes') and 'fit'", rule.name));
  if (rule.kind == TaskKind::binary && rule.categories.size() != 2 && rule.edges.size() != 1)
    table.refuse("kind", fmt::format("the binary task '{}' needs two categories (negative, positive) or one edge", rule.name));
  if (rule.kind == TaskKind::multilabel && numeric) table.refuse("kind", fmt::format("the multilabel task '{}' needs 'categories' or 'fit'", rule.name));
  if (rule.kind != TaskKind::multilabel && rule.window != Window::any) table.refuse("window", "'window' is for multilabel tasks");
}

// Classes and candidates of a relation task; pairs of names of concept types.
void read_relation(TomlTable& table, const Recipe& recipe, TaskRule& rule) {
  const std::vector<std::string>& types = recipe.concept_types();
  if (types.empty()) table.refuse("kind", fmt::format("the relation task '{}' needs concepts: a table [pubtator] or [entities]", rule.name));
  if (!table.has("directed")) table.refuse("name", fmt::format("the relation task '{}' needs 'directed': whether (a, b) and (b, a) are two pairs", rule.name));
  rule.directed = table.flag("directed");
  rule.categories = read_categories(table);
  if (rule.categories.empty())
    table.refuse("categories", fmt::format("the relation task '{}' needs 'categories', a list of [class, relation, ...]", rule.name));
  for (const auto& pair : table.lists("candidates")) {
    if (pair.size() != 2) table.refuse("candidates", "'candidates' must be a list of [type of the head, type of the tail]");
    TypePair found;
    for (const auto& [name, number] : {std::pair{pair[0], &found.head}, std::pair{pair[1], &found.tail}}) {
      const auto type = std::find(types.begin(), types.end(), name);
      if (type == types.end()) table.refuse("candidates", fmt::format("'{}' is none of the types of concepts", name));
      *number = static_cast<std::int32_t>(type - types.begin());
    }
    rule.candidates.push_back(found);
  }
  table.finish();
}

TaskRule read_task(TomlTable table, const Recipe& recipe) {
  TaskRule rule;
  rule.name = table.text("name");
  constexpr TaskKind kinds[] = {TaskKind::binary, TaskKind::multiclass, TaskKind::multilabel, TaskKind::regression, TaskKind::relation};
  rule.kind = kinds[table.choice("kind", {"binary", "multiclass", "multilabel", "regression", "relation"}, 0)];
  if (rule.kind == TaskKind::relation) {
    read_relation(table, recipe, rule);
    return rule;
  }
  rule.from = read_sources(table, recipe);
  rule.window = static_cast<Window>(table.choice("window", {"any", "after", "first_after"}, 0));
  rule.pick = static_cast<Pick>(table.choice("pick", {"first", "last", "minimum", "maximum"}, 0));
  rule.categories = read_categories(table);
  rule.edges = table.numbers("edges");
  const std::vector<std::string> classes = table.texts("classes");
  if (!rule.edges.empty()) {
    if (!std::is_sorted(rule.edges.begin(), rule.edges.end()) || classes.size() != rule.edges.size() + 1)
      table.refuse("edges", "'edges' must ascend, and 'classes' has one name more than there are edges");
    for (const std::string& name : classes) rule.categories.push_back({name, {}});
  }
  rule.scale = table.number("scale", 1);
  rule.offset = table.number("offset", 0);
  rule.lowest = table.number("lowest", rule.lowest);
  rule.list = table.text("list", "");
  rule.fitted = table.has("fit");
  TomlTable fit = table.table("fit");
  rule.path_levels = fit.integer("path_levels", 0);
  rule.separator = fit.text("separator", "|");
  rule.top = fit.integer("top", 0);
  rule.minimum_count = fit.integer("minimum_count", 1);
  fit.finish();
  TaskRule checked = rule;
  if (!rule.edges.empty()) checked.categories.clear();
  check_task(table, checked);
  table.finish();
  return rule;
}

void read_documents(TomlTable table, Recipe& recipe) {
  PubtatorRule rule;
  rule.types = table.texts("types");
  if (rule.types.empty()) table.refuse("types", "'pubtator.types' is missing: the types of mentions that become concepts");
  rule.separators = table.texts("separators");
  rule.no_id = table.texts("no_id");
  table.finish();
  recipe.documents = std::move(rule);
}

void read_entities(TomlTable table, Recipe& recipe) {
  if (recipe.documents) table.refuse("dictionary", "[entities] and [pubtator] exclude each other: documents tell their mentions");
  recipe.dictionary = table.text("dictionary");
  recipe.dictionary_types = table.texts("types");
  if (recipe.dictionary_types.empty()) table.refuse("types", "'entities.types' is missing: the types of the dictionary's terms that become concepts");
  table.finish();
}

void read_split(TomlTable& root, Recipe& recipe) {
  TomlTable split = root.table("split"), files = root.table("splits");
  recipe.salt = split.text("salt");
  for (int s = 0; s < split_count; ++s) recipe.split_files[static_cast<std::size_t>(s)] = files.texts(std::string(name_of(static_cast<Split>(s))));
  const bool named = recipe.has_split_files();
  if (named && split.has("train"))
    split.refuse("train", "'split.train' and a table [splits] exclude each other: with it 'validation' is a share of the training files");
  if (named && !recipe.split_files[1].empty() && split.has("validation"))
    split.refuse("validation", "'split.validation' and 'splits.validation' exclude each other");
  if (!named && root.has("splits")) files.refuse("train", "[splits] names no files");
  recipe.train_fraction = split.number("train", 0.7);
  recipe.validation_fraction = split.number("validation", named ? 0 : 0.1);
  if (named && (recipe.validation_fraction < 0 || recipe.validation_fraction >= 1))
    split.refuse("validation", "'split.validation' must be at least 0 and below 1");
  split.finish();
  files.finish();
}

void read_sample(TomlTable sample, Recipe& recipe) {
  const std::string name = sample.text("table");
  for (std::size_t i = 0; i < recipe.tables.size(); ++i)
    if (recipe.tables[i].name == name) recipe.sample_table = static_cast<int>(i);
  if (recipe.sample_table < 0) sample.refuse("table", fmt::format("there is no [table.{}] in this recipe", name));
  if (!recipe.tables[static_cast<std::size_t>(recipe.sample_table)].time.empty()) sample.refuse("table", "the sample table has one row a record and no 'time'");
  recipe.patient_column = sample.text("patient");
  for (TomlTable& keep : sample.tables("keep")) {
    recipe.keep.push_back({keep.text("column"), keep.number("at_least", 0)});
    keep.finish();
  }
  sample.finish();
}

void check_names(const TomlTable& root, const Recipe& recipe) {
  const Schema schema = schema_of(recipe);
  std::set<std::string> seen;
  const auto once = [&](const std::string& section, const std::string& name) {
    if (!seen.insert(section + '/' + name).second) root.refuse(section, fmt::format("two entries of '{}' are called '{}'", section, name));
  };
  for (const Channel& channel : schema.statics) once("static", channel.name);
  for (const SeriesGroup& group : schema.series) {
    once("series", group.name);
    for (const Channel& channel : group.channels) once("series", group.name + '/' + channel.name);
  }
  for (const Task& task : schema.tasks) once("task", task.name);
  if (schema.tasks.size() > 64) root.refuse("task", "at most 64 tasks");
  for (const Task& task : schema.tasks) {  // what the schema says of relation tasks, told with the recipe's name
    if (task.kind != TaskKind::relation) continue;
    Schema alone;
    alone.notes = true;
    alone.concept_types = schema.concept_types;
    alone.tasks = {task};
    try {
      check_schema(alone);
    } catch (const Error& error) {
      root.refuse("task", error.what());
    }
  }
}

}  // namespace

Recipe parse_recipe(const std::string& toml, const std::string& file_name) {
  toml::table parsed;
  try {
    parsed = toml::parse(toml, file_name);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::configuration, "{}:{}: {}", file_name, error.source().begin.line, error.description());
  }
  TomlTable root(parsed, file_name);
  Recipe recipe;
  recipe.digest = sha256_hex(toml).substr(0, 16);
  recipe.name = root.text("name");
  recipe.max_bad_rows = root.integer("max_bad_rows", 0);
  if (root.has("pubtator")) read_documents(root.table("pubtator"), recipe);
  if (root.has("entities")) read_entities(root.table("entities"), recipe);
  TomlTable time = root.table("time");
  recipe.hours = time.integer("hours", recipe.documents ? 1 : 0);
  if (recipe.hours < 1 || recipe.hours > 10000) time.refuse("hours", "'time.hours' must be between 1 and 10000");
  time.finish();
  read_split(root, recipe);
  TomlTable text = root.table("text");
  recipe.vocabulary_size = text.integer("vocabulary_size", recipe.vocabulary_size);
  text.finish();
  if (recipe.documents) {
    for (const char* key : {"table", "sample", "series", "static", "note"})
      if (root.has(key)) root.refuse(key, fmt::format("'{}' and [pubtator] exclude each other", key));
    if (!recipe.has_split_files()) root.refuse("pubtator", "a table [splits] must name the files of the documents");
  } else {
    TomlTable tables = root.table("table");
    for (const std::string& name : tables.keys()) recipe.tables.push_back(read_table(name, tables.table(name)));
    read_sample(root.table("sample"), recipe);
  }
  for (const TomlTable& group : root.tables("series")) recipe.series.push_back(read_series(group, recipe));
  for (const TomlTable& feature : root.tables("static")) recipe.statics.push_back(read_static(feature, recipe));
  for (const TomlTable& note : root.tables("note")) recipe.notes.push_back(read_note(note, recipe));
  for (const TomlTable& task : root.tables("task")) recipe.tasks.push_back(read_task(task, recipe));
  if (!recipe.dictionary.empty() && recipe.notes.empty()) root.refuse("entities", "[entities] without a [[note]] whose text could have terms");
  root.finish();
  check_names(root, recipe);
  return recipe;
}

Schema schema_of(const Recipe& recipe) {
  Schema schema;
  schema.steps = recipe.hours;
  for (const StaticRule& rule : recipe.statics) {
    if (rule.categories.empty()) schema.statics.push_back(rule.channel);
    for (const Category& category : rule.categories) schema.statics.push_back({rule.channel.name + "=" + category.name, "0/1"});
  }
  for (const SeriesRule& rule : recipe.series) {
    SeriesGroup& group = schema.series.emplace_back();
    group.name = rule.name;
    for (const ChannelRule& channel : rule.channels) group.channels.push_back(channel.channel);
  }
  schema.notes = !recipe.notes.empty() || recipe.documents.has_value();
  schema.concept_types = recipe.concept_types();
  for (const TaskRule& rule : recipe.tasks) {
    Task& task = schema.tasks.emplace_back();
    task.name = rule.name;
    task.kind = rule.kind;
    task.candidates = rule.candidates;
    task.directed = rule.directed;
    if (rule.kind == TaskKind::relation) task.classes.push_back("none");
    for (const Category& category : rule.categories) task.classes.push_back(category.name);
  }
  return schema;
}

}  // namespace tributary
