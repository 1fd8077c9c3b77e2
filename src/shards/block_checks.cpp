#include "shards/block_checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/error.h"
#include "shards/entity_checks.h"

namespace tributary {
namespace {

class BlockChecker {
 public:
  BlockChecker(const Schema& schema, const RecordBlock& block, const BlockPlace& place) : schema_(schema), block_(block), place_(place) {}

  void sizes() const;
  void identity() const;
  void values() const;
  void labels() const;
  void notes(std::int64_t vocabulary_size) const;

 private:
  template <class... Arguments>
  [[noreturn]] void bad(const std::string& field, std::size_t row, fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fail(ErrorKind::data, "{}: {}: row {}: {}", place_.part, field, place_.first_row + static_cast<std::int64_t>(row),
         fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  void size(const std::string& field, std::size_t found, std::int64_t expected) const {
    check(static_cast<std::int64_t>(found) == expected, "{}: {}: the source gave {} values for {} rows, expected {}", place_.part, field, found, block_.rows,
          expected);
  }
  // Cells of `width` a row: finite, 0 where not observed.
  void cells(const std::string& field, const std::vector<Channel>& channels, std::span<const float> values, std::span<const std::uint8_t> observed,
             std::size_t width) const;
  void offsets(const std::string& field, std::span<const std::int64_t> offsets, std::int64_t items) const;
  [[nodiscard]] std::size_t row_of_note(std::size_t note) const {
    const auto& starts = block_.notes.note_offsets;
    return static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), static_cast<std::int64_t>(note)) - starts.begin()) - 1;
  }

  const Schema& schema_;
  const RecordBlock& block_;
  const BlockPlace& place_;
};

void BlockChecker::sizes() const {
  const std::int64_t rows = block_.rows, statics = static_cast<std::int64_t>(schema_.statics.size());
  size("ids", block_.ids.size(), rows);
  size("patient", block_.patient.size(), rows);
  size("split", block_.split.size(), rows);
  size("presence", block_.presence.size(), rows);
  size("steps", block_.steps.size(), rows);
  size("static values", block_.static_values.size(), rows * statics);
  size("static observed", block_.static_observed.size(), rows * statics);
  size("image values", block_.images.size(), rows * schema_.image.size());
  check(block_.series.size() == schema_.series.size(), "{}: {} series groups given, the schema has {}", place_.part, block_.series.size(),
        schema_.series.size());
  for (std::size_t g = 0; g < schema_.series.size(); ++g) {
    const std::int64_t width = schema_.steps * static_cast<std::int64_t>(schema_.series[g].channels.size());
    size("series " + schema_.series[g].name + " values", block_.series[g].values.size(), rows * width);
    size("series " + schema_.series[g].name + " observed", block_.series[g].observed.size(), rows * width);
  }
  check(block_.labels.size() == schema_.tasks.size(), "{}: labels of {} tasks given, the schema has {}", place_.part, block_.labels.size(),
        schema_.tasks.size());
  for (std::size_t t = 0; t < schema_.tasks.size(); ++t) {
    size("labels " + schema_.tasks[t].name + " values", block_.labels[t].values.size(), rows * schema_.tasks[t].stored_width());
    size("labels " + schema_.tasks[t].name + " valid", block_.labels[t].valid.size(), rows);
  }
  if (schema_.notes) size("notes offsets", block_.notes.note_offsets.size(), rows + 1);
}

void BlockChecker::identity() const {
  for (std::size_t r = 0; r < static_cast<std::size_t>(block_.rows); ++r) {
    const std::int64_t row = place_.first_row + static_cast<std::int64_t>(r);
    if (!is_utf8(block_.ids[r])) bad("record id", r, "is not UTF-8");
    if (block_.split[r] >= split_count) bad("split", r, "is {}; 0 (train), 1 (validation) or 2 (test)", block_.split[r]);
    const int expected = row < place_.part_rows[0] ? 0 : row < place_.part_rows[0] + place_.part_rows[1] ? 1 : 2;
    if (block_.split[r] != expected)
      bad("split", r, "is {} where {} must stand: rows of a part are ordered train, validation, test", name_of(static_cast<Split>(block_.split[r])),
          name_of(static_cast<Split>(expected)));
    if (block_.presence[r] > 15) bad("presence", r, "is {}; only the bits 1, 2, 4, 8 have a meaning", block_.presence[r]);
    if (block_.steps[r] < 0 || block_.steps[r] > schema_.steps) bad("steps", r, "is {}; 0 to {}", block_.steps[r], schema_.steps);
  }
}

void BlockChecker::cells(const std::string& field, const std::vector<Channel>& channels, std::span<const float> values, std::span<const std::uint8_t> observed,
                         std::size_t width) const {
  bool good = true;  // one pass without branches; a second one only to name what it met
  for (std::size_t i = 0; i < values.size(); ++i) good &= (values[i] - values[i] == 0.0F) & (observed[i] <= 1) & ((observed[i] != 0) | (values[i] == 0.0F));
  if (good) return;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string where = fmt::format("{} '{}'", field, channels[i % channels.size()].name);
    if (!std::isfinite(values[i])) bad(where, i / width, "is {}; mark what was not measured as not observed", std::isnan(values[i]) ? "NaN" : "infinite");
    if (observed[i] > 1) bad(where, i / width, "observed is {}; 0 or 1", observed[i]);
    if (observed[i] == 0 && values[i] != 0.0F) bad(where, i / width, "has a value although it is not observed; give 0");
  }
}

void BlockChecker::values() const {
  if (!schema_.statics.empty()) cells("static", schema_.statics, block_.static_values, block_.static_observed, schema_.statics.size());
  for (std::size_t g = 0; g < schema_.series.size(); ++g) {
    const SeriesGroup& group = schema_.series[g];
    cells("series " + group.name, group.channels, block_.series[g].values, block_.series[g].observed,
          static_cast<std::size_t>(schema_.steps) * group.channels.size());
  }
}

void BlockChecker::labels() const {
  for (std::size_t t = 0; t < schema_.tasks.size(); ++t) {
    const Task& task = schema_.tasks[t];
    const std::string field = "labels " + task.name;
    for (std::size_t row = 0; row < block_.labels[t].valid.size(); ++row)
      if (block_.labels[t].valid[row] > 1) bad(field, row, "valid is {}; 0 or 1", block_.labels[t].valid[row]);
    const auto width = static_cast<std::size_t>(task.stored_width());
    const double classes = task.kind == TaskKind::multiclass ? static_cast<double>(task.classes.size()) : 2;
    for (std::size_t i = 0; i < block_.labels[t].values.size(); ++i) {
      const std::size_t row = i / width;
      const float value = block_.labels[t].values[i];
      const std::uint8_t valid = block_.labels[t].valid[row];
      if (!std::isfinite(value)) bad(field, row, "is {}", std::isnan(value) ? "NaN" : "infinite");
      if (valid == 0 && value != 0) bad(field, row, "has a value although it is not valid; give 0");
      if (task.kind != TaskKind::regression && (value < 0 || value >= static_cast<float>(classes) || value != std::floor(value)))
        bad(field, row, "is {}; outside the label map of {} classes", value, classes);
    }
  }
}

void BlockChecker::offsets(const std::string& field, std::span<const std::int64_t> starts, std::int64_t items) const {
  const auto row_at = [&](std::size_t i) { return field == "notes offsets" ? i : row_of_note(i); };
  if (starts.empty() || starts[0] != 0) bad(field, 0, "must begin with 0");
  for (std::size_t i = 1; i < starts.size(); ++i)
    if (starts[i] < starts[i - 1]) bad(field, row_at(i - 1), "not ascending ({} after {})", starts[i], starts[i - 1]);
  if (starts.back() != items) bad(field, starts.size() < 2 ? 0 : row_at(starts.size() - 2), "end at {} but there are {} values", starts.back(), items);
}

void BlockChecker::notes(std::int64_t vocabulary_size) const {
  if (!schema_.notes) return;
  const NoteColumns& n = block_.notes;
  const auto notes = static_cast<std::int64_t>(n.hour.size());
  offsets("notes offsets", n.note_offsets, notes);
  check(static_cast<std::int64_t>(n.text_offsets.size()) == notes + 1 && n.token_offsets.size() == n.text_offsets.size(),
        "{}: notes: {} text offsets and {} token offsets given for {} notes, expected one more than notes", place_.part, n.text_offsets.size(),
        n.token_offsets.size(), notes);
  check(n.token_ids.size() == n.token_marks.size(), "{}: tokens: {} ids but {} marks", place_.part, n.token_ids.size(), n.token_marks.size());
  offsets("notes text offsets", n.text_offsets, static_cast<std::int64_t>(n.text.size()));
  offsets("tokens offsets", n.token_offsets, static_cast<std::int64_t>(n.token_ids.size()));
  const std::int64_t id_limit = vocabulary_size > 0 ? vocabulary_size : std::numeric_limits<std::int32_t>::max();
  for (std::size_t r = 0; r < static_cast<std::size_t>(block_.rows); ++r) {
    const auto first = static_cast<std::size_t>(n.note_offsets[r]), last = static_cast<std::size_t>(n.note_offsets[r + 1]);
    if (last - first > 65535) bad("notes", r, "has {} notes; 65535 at most", last - first);
    for (std::size_t k = first; k < last; ++k) {
      if (n.hour[k] < 0 || n.hour[k] >= std::max<std::int64_t>(schema_.steps, 1)) bad("notes hour", r, "is {}; 0 to {}", n.hour[k], schema_.steps - 1);
      if (k > first && n.hour[k] < n.hour[k - 1]) bad("notes hour", r, "is {} after {}: notes of a record are in order of hour", n.hour[k], n.hour[k - 1]);
      const auto begin = static_cast<std::size_t>(n.text_offsets[k]), end = static_cast<std::size_t>(n.text_offsets[k + 1]);
      if (!is_utf8(std::string_view(n.text).substr(begin, end - begin))) bad("notes text", r, "note {} of the record is not UTF-8", k - first);
      for (auto i = static_cast<std::size_t>(n.token_offsets[k]); i < static_cast<std::size_t>(n.token_offsets[k + 1]); ++i) {
        if (n.token_ids[i] < 0 || n.token_ids[i] >= id_limit) bad("tokens ids", r, "is {}; outside the vocabulary of {}", n.token_ids[i], id_limit);
        if (n.token_marks[i] > 3) bad("tokens marks", r, "is {}; only the bits 1 and 2 have a meaning", n.token_marks[i]);
      }
    }
  }
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + length > bytes.size()) return false;
    std::uint32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xC0U) != 0x80) return false;
      value = value << 6U | (next & 0x3FU);
    }
    const std::uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

void check_block(const Schema& schema, const RecordBlock& block, const BlockPlace& place, std::int64_t vocabulary_size) {
  const BlockChecker checker(schema, block, place);
  checker.sizes();
  checker.identity();
  checker.values();
  checker.labels();
  checker.notes(vocabulary_size);
  check_entities(schema, block, place);
}

}  // namespace tributary
