// A recipe says how source tables become records: which tables, columns, channels, notes and labels. Data, not code: one interpreter serves every recipe.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "shards/schema.h"

namespace tributary {

enum class TimeFormat { minutes, hours, clock };  // clock: HH:MM since admission

// [table.NAME]: a source table.
struct TableRule {
  std::string name;
  std::vector<std::string> files;      // patterns relative to the source folder ('*' in names); all files of the first pattern that finds any are read
  bool optional = false;               // false: it is an error when no file is found
  std::string record;                  // column with the record's id
  bool record_from_file_name = false;  // where that column is missing, the file's name without its ending is the id
  bool record_with_file = false;       // the id is "<file's name up to its first point>/<column>": ids count anew in each file
  std::string time;                    // column with the minute (see format) of the event; empty: the table has no times
  std::string entered;                 // column with the minute at which it became known; empty: `time`
  TimeFormat format = TimeFormat::minutes;
  double lookback_hours = 0;  // an event so long before the start is still used, in hour 0
  double known_hour = 0;      // a table without times: the hour from which on its contents are known
};

struct Condition {
  std::string column;
  std::vector<std::string> patterns;
};

// Rows of a table and what is taken from them.
struct RowRule {
  int table = -1;
  std::string value;  // column; empty: every row counts as `constant`
  double constant = 1;
  std::vector<Condition> where;   // all must match
  std::vector<Condition> except;  // none may match
};

// What becomes of a number.
struct NumberRule {
  double lowest = -std::numeric_limits<double>::infinity();  // outside [lowest, highest] a value is counted and dropped
  double highest = std::numeric_limits<double>::infinity();
  bool percent = false;                                      // values up to 1 are fractions and are multiplied by 100 (before the range is checked)
  bool log1p = false;                                        // stored as log(1 + value); the unit says so
  std::vector<std::string> unknown;                          // spellings of "not known"
  std::vector<std::pair<std::string, std::string>> replace;  // spelling -> number, such as "> 89" -> "90"
};

// A class of a static feature or a label: its name and the spellings (patterns) that mean it.
struct Category {
  std::string name;
  std::vector<std::string> patterns;
};

enum class Hourly { last, first, mean, sum, minimum, maximum, count };
enum class Pick { first, last, minimum, maximum };

struct ChannelRule {
  Channel channel;
  std::vector<RowRule> from;
  NumberRule number;
  Hourly hourly = Hourly::last;
};

struct SeriesRule {
  std::string name;
  std::vector<ChannelRule> channels;
};

struct StaticRule {
  Channel channel;
  std::vector<RowRule> from;
  NumberRule number;
  Pick pick = Pick::first;
  std::vector<Category> categories;  // not empty: one 0/1 feature "name=category" each, all observed where the value is known
};

// Path/value entries as sentences: "<prefix>, <path element>, ...: <value>."
struct NoteRule {
  std::string prefix;
  RowRule from;
  std::string path;  // column; empty: none
  std::string text;  // column
  std::string separator = "/";
  std::vector<std::string> drop;  // path elements that say nothing
  bool as_is = false;             // instead: the text as it stands, line breaks included
};

enum class Window { any, after, first_after };  // of label events: all; those from the prediction hour on; classes whose first event is from then on

struct TaskRule {
  std::string name;
  TaskKind kind = TaskKind::binary;
  std::vector<RowRule> from;
  Window window = Window::any;
  Pick pick = Pick::first;                                   // among several events of a record; minimum and maximum: of the class number
  std::vector<Category> categories;                          // of the value; an event that matches several belongs to the last one (multilabel: to all)
  std::vector<double> edges;                                 // a number's class: how many edges are <= it
  double scale = 1, offset = 0;                              // number = value * scale + offset
  double lowest = -std::numeric_limits<double>::infinity();  // a number below is unknown
  std::string list;                                          // between the values of a cell that holds several; empty: one value
  bool fitted = false;                                       // the label map is made from the training records' values:
  std::int64_t path_levels = 0;                              //   the first levels of a path; 0: the whole value
  std::string separator = "|";
  std::int64_t top = 0;            //   at most so many classes, the most frequent; 0: no limit
  std::int64_t minimum_count = 1;  //   each of at least so many training records; the rest is "other" (multiclass) or left out (multilabel)
  // Relation tasks: categories are the classes from 1 on, their patterns names of the source's relations.
  std::vector<TypePair> candidates;
  bool directed = true;
};

struct KeepRule {
  std::string column;
  double at_least = 0;
};

// [pubtator]: documents with mentions and relations (pubtator.h) take the place of tables; each is a record of one hour with one note.
struct PubtatorRule {
  std::vector<std::string> types;       // of mentions: the data set's concept types, in order; mentions of other types are left out
  std::vector<std::string> separators;  // between the ids of a mention of several concepts
  std::vector<std::string> no_id;       // patterns of ids that say that no concept is known
};

struct Recipe {
  std::string name;
  std::string digest;  // 16 hex digits of the recipe's bytes
  std::int64_t hours = 0;
  std::int64_t max_bad_rows = 0;
  std::int64_t vocabulary_size = 4000;
  std::string salt;
  double train_fraction = 0.7, validation_fraction = 0.1;
  // [splits]: patterns of the files (of the sample table, or of documents) whose records make a split, in place of the hash. Of the training files' records
  // the hash takes `validation_fraction` as validation.
  std::array<std::vector<std::string>, split_count> split_files;
  [[nodiscard]] bool has_split_files() const { return !split_files[0].empty() || !split_files[1].empty() || !split_files[2].empty(); }
  std::optional<PubtatorRule> documents;
  // [entities]: notes without annotation get the concepts whose terms stand in a dictionary (dictionary.h), a file of the source folder.
  std::string dictionary;
  std::vector<std::string> dictionary_types;
  [[nodiscard]] const std::vector<std::string>& concept_types() const { return documents ? documents->types : dictionary_types; }
  std::vector<TableRule> tables;
  int sample_table = -1;       // one row a record; -1 with documents
  std::string patient_column;  // in it
  std::vector<KeepRule> keep;  // a record that does not meet all is left out and counted
  std::vector<SeriesRule> series;
  std::vector<StaticRule> statics;
  std::vector<NoteRule> notes;
  std::vector<TaskRule> tasks;
  [[nodiscard]] double horizon_minutes() const { return static_cast<double>(hours) * 60; }
};

// Throws: Error{configuration} with file, line and, for an unknown key, the nearest known one.
[[nodiscard]] Recipe parse_recipe(const std::string& toml, const std::string& file_name);

// The schema that the recipe gives; fitted tasks have no classes yet.
[[nodiscard]] Schema schema_of(const Recipe& recipe);

}  // namespace tributary
