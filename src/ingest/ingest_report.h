// What happened to the source's rows, to be told at the end and checked by tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "comm/communicator.h"

namespace tributary {

struct IngestReport {
  std::map<std::string, std::int64_t> counts;    // "table vital: rows", "series labs/sodium: outside the range", ...
  std::map<std::string, std::int64_t> bad_rows;  // reason -> rows that could not be parsed
  std::vector<std::string> first_bad_rows;       // "file:line: reason"
  void bad_row(const std::string& place, const std::string& reason);
  [[nodiscard]] std::int64_t bad_total() const;
};

// Throws: Error{data} naming the reasons and the first rows when there are more bad rows than `allowed`.
void check_bad_rows(const IngestReport& report, std::int64_t allowed);

// Collective: all ranks of `comm`. The sums over ranks; the first bad rows in order of rank.
[[nodiscard]] IngestReport merged(const Communicator& comm, const IngestReport& report);

void tell(const IngestReport& report, const Log& log);  // rank 0 speaks

}  // namespace tributary
