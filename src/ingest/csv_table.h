// A table file, read as a stream: CSV, plain or gzip, quoted fields that may hold commas, quotes and newlines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// Column names of a file, found whatever their case.
class CsvHeader {
 public:
  explicit CsvHeader(std::vector<std::string> names) : names_(std::move(names)) {}
  [[nodiscard]] int find(std::string_view name) const;  // -1 when the file has no such column
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

struct CsvRow {
  const std::vector<std::string>& fields;
  std::int64_t line = 0;  // of the row's first character; the header stands on line 1
};

struct CsvVisitor {
  std::function<void(const CsvHeader&)> header;                                // once, before any row
  std::function<void(const CsvRow&)> row;                                      // rows with as many fields as the header
  std::function<void(std::int64_t line, std::string_view reason)> unreadable;  // rows that cannot be parsed; reading goes on after them
};

// Empty lines are passed over. Memory: one row, at most 1 MiB.
// Throws: Error{missing} when the file cannot be opened, Error{io} when it cannot be read, Error{data} when the gzip stream is broken or there is no header.
void read_csv(const std::filesystem::path& path, const CsvVisitor& visitor);

}  // namespace tributary
