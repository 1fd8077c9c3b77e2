#include "ingest/sample_index.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "base/error.h"
#include "ingest/csv_table.h"
#include "ingest/pattern.h"
#include "ingest/pubtator.h"
#include "ingest/source_value.h"
#include "ingest/split.h"

namespace tributary {
namespace {

// Reads one file of the sample table.
class SampleFile {
 public:
  SampleFile(const Recipe& recipe, std::string name, RecordList& records, std::unordered_set<std::string>& seen, IngestReport& report)
      : recipe_(recipe), name_(std::move(name)), records_(records), seen_(seen), report_(report) {}

  void header(const CsvHeader& header) {
    const TableRule& table = recipe_.tables[static_cast<std::size_t>(recipe_.sample_table)];
    record_ = column(header, table.record);
    patient_ = column(header, recipe_.patient_column);
    for (const KeepRule& keep : recipe_.keep) keep_.push_back(column(header, keep.column));
  }

  void row(const CsvRow& row) {
    const auto cell = [&](std::size_t i) { return trimmed(row.fields[i]); };
    const std::string id = record_id(recipe_.tables[static_cast<std::size_t>(recipe_.sample_table)], name_, cell(record_)), patient(cell(patient_));
    if (id.empty() || patient.empty()) return;  // counted where the table's events are read
    if (id.find_first_of("\r\n") != std::string::npos) fail(ErrorKind::data, "{}:{}: the record id holds a line break; correct the row", name_, row.line);
    if (!seen_.insert(id).second) fail(ErrorKind::data, "{}:{}: the record id stands there for the second time; expected one row a record", name_, row.line);
    for (std::size_t i = 0; i < keep_.size(); ++i) {
      const auto value = parse_number(cell(keep_[i]));
      if (value && *value >= recipe_.keep[i].at_least) continue;
      ++report_.counts[fmt::format("records left out, {} {}", recipe_.keep[i].column,
                                   value ? fmt::format("below {}", recipe_.keep[i].at_least) : std::string("unknown"))];
      return;
    }
    records_.rows.push_back({id, patient_hash_of(patient), recipe_.has_split_files() ? split_of_file(recipe_, name_) : Split::train});
  }

 private:
  std::size_t column(const CsvHeader& header, const std::string& name) const {
    const int found = header.find(name);
    if (found < 0) fail(ErrorKind::data, "{}: column '{}' is missing, the recipe names it", name_, name);
    return static_cast<std::size_t>(found);
  }

  const Recipe& recipe_;
  std::string name_;
  RecordList& records_;
  std::unordered_set<std::string>& seen_;
  IngestReport& report_;
  std::size_t record_ = 0, patient_ = 0;
  std::vector<std::size_t> keep_;
};

// A document stands for itself, as a patient would.
void list_documents(const Recipe& recipe, const std::filesystem::path& source, const SourceFile& file, std::unordered_set<std::string>& seen,
                    RecordList& records) {
  const auto deliver = [&](const PubtatorDocument& document) {
    if (!seen.insert(document.id).second)
      fail(ErrorKind::data, "{}:{}: a document with this id stands in the files for the second time; give each document to one split", file.name,
           document.line);
    records.rows.push_back({document.id, patient_hash_of(document.id), static_cast<Split>(file.table)});
  };
  // What is bad is counted where the documents' contents are read.
  read_pubtator(source / file.name, recipe, {deliver, [](std::int64_t, std::string_view, std::string_view) {}, [](std::string_view) {}, [](std::int64_t) {}});
}

// Of the training files' records the hash takes a share as validation.
Split split_in_files(const Recipe& recipe, std::string_view salt, const SampleRow& row) {
  if (row.split != Split::train || recipe.validation_fraction <= 0) return row.split;
  return split_of(row.patient, salt, {1 - recipe.validation_fraction, recipe.validation_fraction}) == Split::train ? Split::train : Split::validation;
}

}  // namespace

RecordList read_records(const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files, IngestReport& report) {
  RecordList records;
  std::unordered_set<std::string> seen;
  for (const SourceFile& file : files) {
    if (recipe.documents) list_documents(recipe, source, file, seen, records);
    if (file.table != recipe.sample_table || recipe.documents) continue;
    SampleFile reader(recipe, file.name, records, seen, report);
    read_csv(source / file.name, {[&](const CsvHeader& header) { reader.header(header); }, [&](const CsvRow& row) { reader.row(row); },
                                  [](std::int64_t, std::string_view) {}});  // unreadable rows are counted where the table's events are read
  }
  report.counts["records kept"] += static_cast<std::int64_t>(records.rows.size());
  return records;
}

SampleIndex::SampleIndex(const Recipe& recipe, std::string_view salt, RecordList records, std::int64_t parts) : parts_(static_cast<std::size_t>(parts)) {
  for (SampleRow& row : records.rows) {
    row.split = recipe.has_split_files() ? split_in_files(recipe, salt, row) : split_of(row.patient, salt, {recipe.train_fraction, recipe.validation_fraction});
    parts_[static_cast<std::size_t>(part_of(row.patient, parts))].push_back(std::move(row));
  }
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    std::sort(parts_[part].begin(), parts_[part].end(),
              [](const SampleRow& a, const SampleRow& b) { return std::tie(a.split, a.patient, a.id) < std::tie(b.split, b.patient, b.id); });
    for (std::size_t row = 0; row < parts_[part].size(); ++row)
      places_.emplace(parts_[part][row].id, SamplePlace{static_cast<std::int32_t>(part), static_cast<std::uint32_t>(row)});
  }
}

const SamplePlace* SampleIndex::find(const std::string& id) const {
  const auto found = places_.find(id);
  return found == places_.end() ? nullptr : &found->second;
}

std::vector<std::array<std::int64_t, split_count>> SampleIndex::part_rows() const {
  std::vector<std::array<std::int64_t, split_count>> result(parts_.size(), {0, 0, 0});
  for (std::size_t part = 0; part < parts_.size(); ++part)
    for (const SampleRow& row : parts_[part]) ++result[part][static_cast<std::size_t>(row.split)];
  return result;
}

std::int64_t default_parts(std::int64_t records) { return std::max<std::int64_t>(4, (records + 1023) / 1024); }

}  // namespace tributary
