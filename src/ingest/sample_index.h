// The records of a build: which there are, and where each will stand. All ranks hold it; nothing else grows with the number of records.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/ingest_report.h"
#include "ingest/recipe.h"
#include "ingest/source_files.h"
#include "shards/schema.h"

namespace tributary {

struct SampleRow {
  std::string id;
  std::uint64_t patient = 0;
  Split split = Split::train;
};

struct SamplePlace {
  std::int32_t part = 0;
  std::uint32_t row = 0;
};

struct RecordList {  // what the sample table says: kept records in the order of the table
  std::vector<SampleRow> rows;
};

// Reads the sample table; records that do not meet the recipe's `keep` are counted in `report` and left out.
// With documents: the documents that are not empty. The split of a record is that of its file where the recipe has a table [splits], else not yet decided.
// Throws: Error{data} when an id stands there twice (names the line), or for a missing column; Error{missing, io}.
[[nodiscard]] RecordList read_records(const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files, IngestReport& report);

class SampleIndex {
 public:
  SampleIndex(const Recipe& recipe, std::string_view salt, RecordList records, std::int64_t parts);
  [[nodiscard]] const SamplePlace* find(const std::string& id) const;  // nullptr: unknown or left out
  [[nodiscard]] int parts() const { return static_cast<int>(parts_.size()); }
  [[nodiscard]] const std::vector<SampleRow>& rows(int part) const { return parts_[static_cast<std::size_t>(part)]; }
  [[nodiscard]] std::vector<std::array<std::int64_t, split_count>> part_rows() const;

 private:
  std::vector<std::vector<SampleRow>> parts_;
  std::unordered_map<std::string, SamplePlace> places_;
};

// Parts where none are asked for: 1024 records each, at least 4.
[[nodiscard]] std::int64_t default_parts(std::int64_t records);

}  // namespace tributary
