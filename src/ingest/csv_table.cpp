#include "ingest/csv_table.h"

#include <csv.h>

#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "ingest/pattern.h"
#include "ingest/text_lines.h"

namespace tributary {
namespace {

constexpr std::size_t row_limit_bytes = std::size_t{1} << 20;

// Feeds libcsv line by line, so that a row's line is known and the parser can start afresh after a broken one.
class Rows {
 public:
  Rows(const std::filesystem::path& path, const CsvVisitor& visitor) : path_(path.string()), visitor_(visitor) { start(); }
  ~Rows() { csv_free(&parser_); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  // `piece` ends with the line or is a part of one.
  void feed(std::string_view piece) {
    if (!skipping_) {
      if (!inside_) row_line_ = line_;
      inside_ = true;
      row_bytes_ += piece.size();
      if (row_bytes_ > row_limit_bytes)
        give_up("longer than 1 MiB (a quote that is never closed?)");
      else if (csv_parse(&parser_, piece.data(), piece.size(), &Rows::field, &Rows::row_end, this) != piece.size())
        give_up("broken quotes");
      if (failure_) std::rethrow_exception(failure_);
    }
    if (parser_.pstate == 0) inside_ = false;  // nothing of a row yet: an empty line
    if (!piece.empty() && piece.back() == '\n') {
      ++line_;
      skipping_ = false;
    }
  }

  void finish() {
    if (inside_ && csv_fini(&parser_, &Rows::field, &Rows::row_end, this) != 0) give_up("a quote that is never closed");
    if (failure_) std::rethrow_exception(failure_);
    if (!header_) fail(ErrorKind::data, "{}: the file is empty; expected a line of column names", path_);
  }

 private:
  void start() {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) fail(ErrorKind::internal, "libcsv does not start");
    fields_.clear();
    inside_ = false;
    row_bytes_ = 0;
  }

  void give_up(std::string_view reason) {
    if (!header_) fail(ErrorKind::data, "{}:{}: the line of column names has {}", path_, row_line_, reason);
    csv_free(&parser_);
    visitor_.unreadable(row_line_, reason);
    start();
    skipping_ = true;
  }

  static void field(void* data, std::size_t size, void* self) { static_cast<Rows*>(self)->fields_.emplace_back(static_cast<const char*>(data), size); }

  // Exceptions must not cross the C library: they are kept and thrown after it has returned.
  static void row_end(int, void* self) {
    auto& rows = *static_cast<Rows*>(self);
    if (rows.failure_) return;
    try {
      rows.deliver();
    } catch (...) {
      rows.failure_ = std::current_exception();
    }
  }

  void deliver() {
    if (!header_) {
      if (fields_[0].starts_with("\xEF\xBB\xBF")) fields_[0].erase(0, 3);
      header_.emplace(fields_);
      visitor_.header(*header_);
    } else if (fields_.size() == header_->names().size()) {
      visitor_.row({fields_, row_line_});
    } else {
      visitor_.unreadable(row_line_, "another number of fields than the header");
    }
    fields_.clear();
    inside_ = false;
    row_bytes_ = 0;
  }

  std::string path_;
  const CsvVisitor& visitor_;
  csv_parser parser_{};
  std::vector<std::string> fields_;
  std::optional<CsvHeader> header_;
  std::exception_ptr failure_;
  std::int64_t line_ = 1, row_line_ = 1;
  std::size_t row_bytes_ = 0;
  bool inside_ = false;    // between the first and the last character of a row
  bool skipping_ = false;  // to the end of the line on which a broken row was given up
};

}  // namespace

int CsvHeader::find(std::string_view name) const {
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (same_letters(trimmed(names_[i]), name)) return static_cast<int>(i);
  return -1;
}

void read_csv(const std::filesystem::path& path, const CsvVisitor& visitor) {
  GzipFile file(path);
  Rows rows(path, visitor);
  for (std::string_view chunk = file.read(); !chunk.empty(); chunk = file.read()) {
    while (!chunk.empty()) {
      const std::size_t newline = chunk.find('\n');
      const std::size_t size = newline == std::string_view::npos ? chunk.size() : newline + 1;
      rows.feed(chunk.substr(0, size));
      chunk.remove_prefix(size);
    }
  }
  rows.finish();
}

}  // namespace tributary
