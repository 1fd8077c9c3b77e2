#include "ingest/table_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/nearest.h"
#include "ingest/csv_table.h"
#include "ingest/note_text.h"
#include "ingest/pattern.h"
#include "ingest/pubtator.h"
#include "ingest/source_value.h"

namespace tributary {
namespace {

constexpr std::size_t cache_limit = 100000;  // distinct labels whose rules are remembered

struct BoundCondition {
  std::size_t column;
  const std::vector<std::string>* patterns;
};

// The column that `name` probably means, as part of a message. In a file without its header line the names are a record's values: only a plain word that is
// nearly the name sought is told.
std::string likely_column(const CsvHeader& header, const std::string& name) {
  const std::string sought = lower_case(name);
  std::vector<std::string> candidates;
  for (const std::string& column : header.names()) {
    const bool plain = !column.empty() && column.size() <= 40 &&
                       std::all_of(column.begin(), column.end(), [](unsigned char c) { return c < 128 && (std::isalnum(c) != 0 || c == '_'); });
    if (plain) candidates.push_back(lower_case(column));
  }
  const std::string found = nearest(sought, candidates);
  return found.empty() || edit_distance(sought, found) > sought.size() / 2 ? "; is its header line missing?" : fmt::format(", the nearest is '{}'", found);
}

// A row rule with its columns found in the file's header.
struct BoundRule {
  const RowRule* rule = nullptr;
  std::uint32_t target = 0;
  int value = -1, path = -1, text = -1;
  std::vector<BoundCondition> where, except;
};

class FileEvents {
 public:
  FileEvents(const Recipe& recipe, const SourceFile& file, std::size_t number, const SampleIndex& samples, EventSpill& spill, IngestReport& report)
      : recipe_(recipe),
        file_(file),
        table_(recipe.tables[static_cast<std::size_t>(file.table)]),
        samples_(samples),
        spill_(spill),
        report_(report),
        targets_(targets_of(recipe)) {
    event_.file = static_cast<std::uint32_t>(number);
  }

  void header(const CsvHeader& header) {
    record_ = header.find(table_.record);
    if (record_ < 0 && !table_.record_from_file_name) column(header, table_.record);
    if (!table_.time.empty()) time_ = column(header, table_.time);
    if (!table_.entered.empty()) entered_ = column(header, table_.entered);
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      const Target& target = targets_[t];
      switch (target.kind) {
        case TargetKind::series:
          bind_all(header, t, recipe_.series[target.index].channels[target.channel].from);
          break;
        case TargetKind::feature:
          bind_all(header, t, recipe_.statics[target.index].from);
          break;
        case TargetKind::task:
          bind_all(header, t, recipe_.tasks[target.index].from);
          break;
        case TargetKind::note:
          bind_note(header, t, recipe_.notes[target.index]);
          break;
        case TargetKind::document:  // of no table
          break;
      }
    }
  }

  void row(const CsvRow& row) {
    ++rows_;
    fields_ = &row.fields;
    event_.line = row.line;
    const std::string id = record_ >= 0 ? record_id(table_, file_.name, cell(record_)) : std::filesystem::path(file_.name).stem().string();
    if (id.empty()) return bad(row.line, "no record id");
    double minute = 0, known = 0;
    if (!read_times(row.line, minute, known)) return;
    const SamplePlace* place = samples_.find(id);
    if (place == nullptr) {
      ++others_;
      return;
    }
    part_ = place->part;
    event_.row = place->row;
    event_.minute = static_cast<std::int32_t>(std::floor(minute));
    known_minute_ = static_cast<std::int32_t>(std::floor(std::max(minute, known)));
    const bool late = !table_.time.empty() && std::max(minute, known) >= recipe_.horizon_minutes();
    const bool early = !table_.time.empty() && minute < -60 * table_.lookback_hours;
    bool refused = false;
    for (const std::uint32_t r : rules_for_row()) {
      const bool label = targets_[rules_[r].target].kind == TargetKind::task;
      if (label || !(late || early))
        apply(rules_[r]);
      else
        refused = true;
    }
    if (refused) ++(late ? late_ : early_);
  }

  void bad(std::int64_t line, std::string_view reason) {
    report_.bad_row(fmt::format("{}:{}", file_.name, line), std::string(reason));
    check_bad_rows(report_, recipe_.max_bad_rows);
  }

  void finish() {
    const auto count = [&](const char* what, std::int64_t number) {
      if (number > 0) report_.counts[fmt::format("table {}: {}", table_.name, what)] += number;
    };
    count("rows", rows_);
    count("rows of records unknown or left out", others_);
    count("rows from the prediction hour on, no input", late_);
    count("rows too long before the start, no input", early_);
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      if (not_numbers_[t] > 0) report_.counts[targets_[t].name + ": not a number"] += not_numbers_[t];
      if (replaced_bytes_[t] > 0) report_.counts[targets_[t].name + ": bytes that are not UTF-8, replaced"] += replaced_bytes_[t];
      if (empty_texts_[t] > 0) report_.counts[targets_[t].name + ": empty texts, left out"] += empty_texts_[t];
      if (outside_[t] > 0) report_.counts[targets_[t].name + ": outside the range"] += outside_[t];
    }
  }

 private:
  [[nodiscard]] std::string_view cell(int column) const { return trimmed((*fields_)[static_cast<std::size_t>(column)]); }

  int column(const CsvHeader& header, const std::string& name) const {
    const int found = header.find(name);
    if (found < 0)
      fail(ErrorKind::data, "{}: column '{}' is missing, table '{}' of the recipe names it; the first line has {} columns{}", file_.name, name, table_.name,
           header.names().size(), likely_column(header, name));
    return found;
  }

  void bind_all(const CsvHeader& header, std::size_t target, const std::vector<RowRule>& from) {
    for (const RowRule& rule : from)
      if (rule.table == file_.table) bind(header, target, rule);
  }

  void bind_note(const CsvHeader& header, std::size_t target, const NoteRule& note) {
    if (note.from.table != file_.table) return;
    BoundRule& bound = bind(header, target, note.from);
    bound.text = column(header, note.text);
    if (!note.path.empty()) bound.path = column(header, note.path);
  }

  BoundRule& bind(const CsvHeader& header, std::size_t target, const RowRule& rule) {
    BoundRule& bound = rules_.emplace_back();
    bound.rule = &rule;
    bound.target = static_cast<std::uint32_t>(target);
    if (!rule.value.empty()) bound.value = column(header, rule.value);
    for (const auto& [conditions, out] : {std::pair{&rule.where, &bound.where}, std::pair{&rule.except, &bound.except}}) {
      for (const Condition& condition : *conditions) {
        const auto place = static_cast<std::size_t>(column(header, condition.column));
        out->push_back({place, &condition.patterns});
        if (std::find(condition_columns_.begin(), condition_columns_.end(), place) == condition_columns_.end()) condition_columns_.push_back(place);
      }
    }
    return bound;
  }

  bool read_times(std::int64_t line, double& minute, double& known) {
    if (time_ < 0) return true;
    const auto time = parse_minute(cell(time_), table_.format);
    if (!time) return bad(line, "the time is not a number"), false;
    minute = known = *time;
    if (entered_ < 0 || cell(entered_).empty()) return true;
    const auto entered = parse_minute(cell(entered_), table_.format);
    if (!entered) return bad(line, "the entry time is not a number"), false;
    known = *entered;
    return true;
  }

  // Which rules hold follows from the few columns that conditions name; those repeat, so the answer is kept.
  const std::vector<std::uint32_t>& rules_for_row() {
    key_.clear();
    for (const std::size_t place : condition_columns_) key_.append((*fields_)[place]).push_back('\x1f');
    if (const auto found = cache_.find(key_); found != cache_.end()) return found->second;
    if (cache_.size() >= cache_limit) cache_.clear();
    std::vector<std::uint32_t> holding;
    const auto holds = [&](const BoundCondition& condition) { return matches_any(*condition.patterns, trimmed((*fields_)[condition.column])); };
    for (std::size_t r = 0; r < rules_.size(); ++r)
      if (std::all_of(rules_[r].where.begin(), rules_[r].where.end(), holds) && std::none_of(rules_[r].except.begin(), rules_[r].except.end(), holds))
        holding.push_back(static_cast<std::uint32_t>(r));
    return cache_.emplace(key_, std::move(holding)).first->second;
  }

  void apply(const BoundRule& rule) {
    event_.target = rule.target;
    event_.value = rule.rule->constant;
    event_.serial = 0;
    const Target& target = targets_[rule.target];
    switch (target.kind) {
      case TargetKind::series:
        return add_number(rule, recipe_.series[target.index].channels[target.channel].number);
      case TargetKind::feature:
        return add_feature(rule, recipe_.statics[target.index]);
      case TargetKind::note:
        return add_note(rule, recipe_.notes[target.index]);
      case TargetKind::task:
        return add_label(rule, recipe_.tasks[target.index]);
      case TargetKind::document:
        return;
    }
  }

  void add_number(const BoundRule& rule, const NumberRule& number) {
    if (rule.value >= 0) {
      const NumberReading reading = read_value(number, cell(rule.value));
      if (reading.reading == Reading::not_a_number) ++not_numbers_[rule.target];
      if (reading.reading == Reading::outside) ++outside_[rule.target];
      if (reading.reading != Reading::value) return;
      event_.value = reading.value;
    }
    spill_.add(part_, event_, {});
  }

  void add_feature(const BoundRule& rule, const StaticRule& feature) {
    if (feature.categories.empty()) return add_number(rule, feature.number);
    const std::string_view text = rule.value >= 0 ? cell(rule.value) : std::string_view{};
    if (text.empty() || matches_any(feature.number.unknown, text)) return;
    event_.value = last_category(feature.categories, text);  // -1: another category, known to be none of these
    spill_.add(part_, event_, {});
  }

  void add_note(const BoundRule& rule, const NoteRule& note) {
    if (note.as_is) return add_text(rule);
    const Utf8Text path = as_utf8(rule.path >= 0 ? cell(rule.path) : std::string_view{}), text = as_utf8(cell(rule.text));
    const NoteEntry entry = render_entry(note, path.text, text.text);
    replaced_bytes_[rule.target] += path.replaced_bytes + text.replaced_bytes;
    if (entry.sentence.empty()) return;
    Event event = event_;
    event.minute = known_minute_;  // a note stands at the time it was entered
    spill_.add(part_, event, entry.paragraph + '\n' + entry.sentence);
  }

  void add_text(const BoundRule& rule) {
    const Utf8Text text = as_utf8(cell(rule.text));
    replaced_bytes_[rule.target] += text.replaced_bytes;
    if (text.text.empty()) {
      ++empty_texts_[rule.target];
      return;
    }
    Event event = event_;
    event.minute = known_minute_;
    spill_.add(part_, event, '\n' + text.text);  // in the paragraph without a name
  }

  void add_label(const BoundRule& rule, const TaskRule& task) {
    if (rule.value < 0) return spill_.add(part_, event_, {});
    const std::string_view text = cell(rule.value);
    if (task.list.empty()) return add_label(rule, task, text);
    for (const std::string_view piece : pieces(text, task.list)) add_label(rule, task, trimmed(piece));
  }

  void add_label(const BoundRule& rule, const TaskRule& task, std::string_view text) {
    if (text.empty()) return;
    if (task.fitted) {
      spill_.add(part_, event_, ascii_only(path_prefix(text, task.separator, task.path_levels)));
      ++event_.serial;
      return;
    }
    if (!task.edges.empty() || task.kind == TaskKind::regression) {
      const auto value = parse_number(text);
      if (!value) {
        ++not_numbers_[rule.target];
      } else if (const double number = *value * task.scale + task.offset; number >= task.lowest) {
        event_.value = number;
        spill_.add(part_, event_, {});
      }
      return;
    }
    std::vector<int> classes = all_categories(task.categories, text);
    if (task.kind != TaskKind::multilabel && !classes.empty()) classes = {classes.back()};
    if (task.kind == TaskKind::multilabel && classes.empty()) classes = {-1};  // says that something is known of the record
    for (const int category : classes) {
      event_.value = category;
      spill_.add(part_, event_, {});
      ++event_.serial;
    }
  }

  const Recipe& recipe_;
  const SourceFile& file_;
  const TableRule& table_;
  const SampleIndex& samples_;
  EventSpill& spill_;
  IngestReport& report_;
  std::vector<Target> targets_;
  std::vector<BoundRule> rules_;
  std::vector<std::size_t> condition_columns_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> cache_;
  std::string key_;
  int record_ = -1, time_ = -1, entered_ = -1, part_ = 0;
  std::int32_t known_minute_ = 0;
  const std::vector<std::string>* fields_ = nullptr;
  Event event_;
  std::int64_t rows_ = 0, others_ = 0, late_ = 0, early_ = 0;
  std::vector<std::int64_t> not_numbers_ = std::vector<std::int64_t>(targets_.size()), outside_ = not_numbers_, replaced_bytes_ = not_numbers_,
                            empty_texts_ = not_numbers_;
};

}  // namespace

std::vector<Target> targets_of(const Recipe& recipe) {
  std::vector<Target> targets;
  for (std::size_t g = 0; g < recipe.series.size(); ++g)
    for (std::size_t c = 0; c < recipe.series[g].channels.size(); ++c)
      targets.push_back({TargetKind::series, g, c, fmt::format("series {}/{}", recipe.series[g].name, recipe.series[g].channels[c].channel.name)});
  for (std::size_t i = 0; i < recipe.statics.size(); ++i) targets.push_back({TargetKind::feature, i, 0, "static " + recipe.statics[i].channel.name});
  for (std::size_t i = 0; i < recipe.notes.size(); ++i) targets.push_back({TargetKind::note, i, 0, "note " + recipe.notes[i].prefix});
  for (std::size_t i = 0; i < recipe.tasks.size(); ++i) targets.push_back({TargetKind::task, i, 0, "task " + recipe.tasks[i].name});
  if (recipe.documents) targets.push_back({TargetKind::document, 0, 0, "documents"});
  return targets;
}

namespace {

void spill_documents(const Recipe& recipe, const std::filesystem::path& source, const SourceFile& file, std::size_t number, const SampleIndex& samples,
                     EventSpill& spill, IngestReport& report) {
  const auto target = static_cast<std::uint32_t>(targets_of(recipe).size() - 1);
  const auto bad = [&](std::int64_t line, std::string_view document, std::string_view reason) {
    report.bad_row(document.empty() ? fmt::format("{}:{}", file.name, line) : fmt::format("{}:{}, document {}", file.name, line, document),
                   std::string(reason));
    check_bad_rows(report, recipe.max_bad_rows);
  };
  const auto deliver = [&](const PubtatorDocument& document) {
    const SamplePlace* place = samples.find(document.id);
    check(place != nullptr, "{}:{}: a document that the list of records lacks", file.name, document.line);
    Event event;
    event.row = place->row;
    event.file = static_cast<std::uint32_t>(number);
    event.target = target;
    event.line = document.line;
    spill.add(place->part, event, to_bytes(document.content));
    ++report.counts["documents"];
    const RecordEntities& entities = document.content.entities;
    report.counts["documents: concepts"] += static_cast<std::int64_t>(entities.concepts.size());
    report.counts["documents: mentions, one for each of their concepts"] += static_cast<std::int64_t>(entities.mentions.size());
    report.counts["documents: relations"] += static_cast<std::int64_t>(entities.relations.size());
  };
  const auto left_out = [&](std::string_view what) { ++report.counts[fmt::format("left out: {}", what)]; };
  const auto replaced = [&](std::int64_t bytes) { report.counts["documents: bytes that are not UTF-8, replaced"] += bytes; };
  read_pubtator(source / file.name, recipe, {deliver, bad, left_out, replaced});
}

}  // namespace

void spill_file_events(const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files, std::size_t file,
                       const SampleIndex& samples, EventSpill& spill, IngestReport& report) {
  if (recipe.documents) return spill_documents(recipe, source, files[file], file, samples, spill, report);
  FileEvents events(recipe, files[file], file, samples, spill, report);
  read_csv(source / files[file].name, {[&](const CsvHeader& header) { events.header(header); }, [&](const CsvRow& row) { events.row(row); },
                                       [&](std::int64_t line, std::string_view reason) { events.bad(line, reason); }});
  events.finish();
}

}  // namespace tributary
