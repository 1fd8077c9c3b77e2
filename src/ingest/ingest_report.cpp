#include "ingest/ingest_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tributary {
namespace {

constexpr std::size_t named_rows = 5;

}  // namespace

void IngestReport::bad_row(const std::string& place, const std::string& reason) {
  ++bad_rows[reason];
  if (first_bad_rows.size() < named_rows) first_bad_rows.push_back(place + ": " + reason);
}

std::int64_t IngestReport::bad_total() const {
  std::int64_t total = 0;
  for (const auto& [reason, count] : bad_rows) total += count;
  return total;
}

void check_bad_rows(const IngestReport& report, std::int64_t allowed) {
  if (report.bad_total() <= allowed) return;
  std::string reasons;
  for (const auto& [reason, count] : report.bad_rows) reasons += fmt::format("{}{} x {}", reasons.empty() ? "" : ", ", count, reason);
  fail(ErrorKind::data,
       "{} rows cannot be parsed ({}), the recipe's max_bad_rows allows {}; correct them, or raise max_bad_rows to leave them "
       "out. The first: {}",
       report.bad_total(), reasons, allowed, fmt::join(report.first_bad_rows, "; "));
}

IngestReport merged(const Communicator& comm, const IngestReport& report) {
  const nlohmann::json mine = {{"counts", report.counts}, {"bad", report.bad_rows}, {"first", report.first_bad_rows}};
  IngestReport sum;
  for (const std::string& bytes : comm.all_gather(mine.dump())) {
    const auto theirs = nlohmann::json::parse(bytes);
    for (const auto& [key, count] : theirs["counts"].get<std::map<std::string, std::int64_t>>()) sum.counts[key] += count;
    for (const auto& [key, count] : theirs["bad"].get<std::map<std::string, std::int64_t>>()) sum.bad_rows[key] += count;
    for (const auto& row : theirs["first"].get<std::vector<std::string>>())
      if (sum.first_bad_rows.size() < named_rows) sum.first_bad_rows.push_back(row);
  }
  return sum;
}

void tell(const IngestReport& report, const Log& log) {
  for (const auto& [what, count] : report.counts) log.once("{}: {}", what, count);
  for (const auto& [reason, count] : report.bad_rows) log.once("rows that cannot be parsed, {}: {}", reason, count);
  for (const std::string& row : report.first_bad_rows) log.once("  {}", row);
}

}  // namespace tributary
