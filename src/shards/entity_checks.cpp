#include "shards/entity_checks.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "shards/entities.h"

namespace tributary {
namespace {

class EntityChecker {
 public:
  EntityChecker(const Schema& schema, const RecordBlock& block, const BlockPlace& place) : schema_(schema), block_(block), e_(block.entities), place_(place) {}

  void sizes() const;
  void concepts(std::size_t row) const;
  void mentions(std::size_t row) const;
  void relations(std::size_t row) const;

 private:
  template <class... Arguments>
  [[noreturn]] void bad(const char* field, std::size_t row, fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fail(ErrorKind::data, "{}: {}: row {}: {}", place_.part, field, place_.first_row + static_cast<std::int64_t>(row),
         fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  void offsets(const char* field, const std::vector<std::int64_t>& starts, std::size_t owners, std::initializer_list<std::size_t> items) const {
    bool good = starts.size() == owners + 1 && starts[0] == 0 && std::is_sorted(starts.begin(), starts.end());
    for (const std::size_t count : items) good = good && starts.back() == static_cast<std::int64_t>(count);
    check(good, "{}: {}: the offsets do not fit the {} elements that they stand on, or the values they lead to", place_.part, field, owners);
  }
  [[nodiscard]] static std::pair<std::size_t, std::size_t> range(const std::vector<std::int64_t>& starts, std::size_t row) {
    return {static_cast<std::size_t>(starts[row]), static_cast<std::size_t>(starts[row + 1])};
  }
  [[nodiscard]] std::string_view note(std::size_t row, std::int32_t number) const {
    const auto n = static_cast<std::size_t>(block_.notes.note_offsets[row] + number);
    const auto [begin, end] = range(block_.notes.text_offsets, n);
    return std::string_view(block_.notes.text).substr(begin, end - begin);
  }

  const Schema& schema_;
  const RecordBlock& block_;
  const EntityColumns& e_;
  const BlockPlace& place_;
};

void EntityChecker::sizes() const {
  const auto rows = static_cast<std::size_t>(block_.rows);
  offsets("concepts", e_.concept_offsets, rows, {e_.concept_type.size()});
  offsets("concepts id", e_.concept_id_offsets, e_.concept_type.size(), {e_.concept_ids.size()});
  offsets("mentions", e_.mention_offsets, rows,
          {e_.mention_note.size(), e_.mention_begin.size(), e_.mention_end.size(), e_.mention_concept.size(), e_.mention_type.size(), e_.mention_token.size()});
  offsets("relations", e_.relation_offsets, rows,
          {e_.relation_task.size(), e_.relation_head.size(), e_.relation_tail.size(), e_.relation_class.size(), e_.relation_novelty.size()});
}

void EntityChecker::concepts(std::size_t row) const {
  const auto [first, last] = range(e_.concept_offsets, row);
  std::set<std::string_view> ids;
  for (std::size_t c = first; c < last; ++c) {
    if (e_.concept_type[c] >= schema_.concept_types.size())
      bad("concepts type", row, "is {}; the schema has {}", e_.concept_type[c], schema_.concept_types.size());
    const auto [begin, end] = range(e_.concept_id_offsets, c);
    const std::string_view id = std::string_view(e_.concept_ids).substr(begin, end - begin);
    if (id.empty() || !is_utf8(id)) bad("concepts id", row, "of concept {} is empty or not UTF-8", c - first);
    if (!ids.insert(id).second) bad("concepts id", row, "of concept {} is that of another concept of the record", c - first);
  }
}

void EntityChecker::mentions(std::size_t row) const {
  const auto [first, last] = range(e_.mention_offsets, row);
  const std::int64_t notes = block_.notes.note_offsets[row + 1] - block_.notes.note_offsets[row];
  const std::int64_t concepts = e_.concept_offsets[row + 1] - e_.concept_offsets[row];
  std::vector<bool> mentioned(static_cast<std::size_t>(concepts), false);
  const auto order = [&](std::size_t m) { return std::tuple(e_.mention_note[m], e_.mention_begin[m], e_.mention_end[m], e_.mention_concept[m]); };
  for (std::size_t m = first; m < last; ++m) {
    if (e_.mention_note[m] < 0 || e_.mention_note[m] >= notes) bad("mentions note", row, "is {}; the record has {}", e_.mention_note[m], notes);
    const std::string_view text = note(row, e_.mention_note[m]);
    const std::int64_t begin = e_.mention_begin[m], end = e_.mention_end[m], size = static_cast<std::int64_t>(text.size());
    if (begin < 0 || begin >= end || end > size) bad("mentions", row, "mention {} is [{}, {}) of a note of {} bytes", m - first, begin, end, size);
    const auto inside = [&](std::int64_t at) { return at < size && (static_cast<unsigned char>(text[static_cast<std::size_t>(at)]) & 0xC0U) == 0x80; };
    if (inside(begin) || inside(end)) bad("mentions", row, "mention {} is [{}, {}), which cuts a character in two", m - first, begin, end);
    if (e_.mention_concept[m] < -1 || e_.mention_concept[m] >= concepts)
      bad("mentions concept", row, "is {}; -1 or one of {}", e_.mention_concept[m], concepts);
    if (e_.mention_concept[m] >= 0) mentioned[static_cast<std::size_t>(e_.mention_concept[m])] = true;
    if (e_.mention_type[m] >= schema_.concept_types.size())
      bad("mentions type", row, "is {}; the schema has {}", e_.mention_type[m], schema_.concept_types.size());
    if (m > first && order(m) <= order(m - 1)) bad("mentions", row, "mention {} is not in order of (note, begin, end, concept), or stands twice", m - first);
    const auto n = static_cast<std::size_t>(block_.notes.note_offsets[row] + e_.mention_note[m]);
    const std::int64_t tokens = block_.notes.token_offsets[n + 1] - block_.notes.token_offsets[n];
    if (e_.mention_token[m] < -1 || e_.mention_token[m] >= tokens) bad("tokens mentions", row, "is {}; its note has {} tokens", e_.mention_token[m], tokens);
  }
  for (std::size_t c = 0; c < mentioned.size(); ++c)
    if (!mentioned[c]) bad("concepts", row, "concept {} has no mention", c);
}

void EntityChecker::relations(std::size_t row) const {
  const auto [first, last] = range(e_.relation_offsets, row);
  const std::span<const std::uint8_t> types = concept_types_of(block_, row);
  const auto order = [&](std::size_t r) { return std::tuple(e_.relation_task[r], e_.relation_head[r], e_.relation_tail[r]); };
  for (std::size_t r = first; r < last; ++r) {
    const std::size_t number = e_.relation_task[r];
    if (number >= schema_.tasks.size() || schema_.tasks[number].kind != TaskKind::relation)
      bad("relations task", row, "is {}, which is no relation task", number);
    const Task& task = schema_.tasks[number];
    if (block_.labels[number].valid[row] == 0) bad("relations task", row, "is '{}', of which the record's labels are not valid", task.name);
    if (!is_candidate(task, types, {e_.relation_head[r], e_.relation_tail[r]}))
      bad("relations", row, "({}, {}) is no candidate of task '{}'", e_.relation_head[r], e_.relation_tail[r], task.name);
    if (e_.relation_class[r] < 1 || e_.relation_class[r] >= task.classes.size())
      bad("relations class", row, "is {}; 1 to {}: what is not related is not told", e_.relation_class[r], task.classes.size() - 1);
    if (e_.relation_novelty[r] > 2) bad("relations novelty", row, "is {}; 0 to 2", e_.relation_novelty[r]);
    if (r > first && order(r) <= order(r - 1)) bad("relations", row, "relation {} is not in order of (task, head, tail), or stands twice", r - first);
  }
}

}  // namespace

void check_entities(const Schema& schema, const RecordBlock& block, const BlockPlace& place) {
  if (!schema.has_entities()) return;
  const EntityChecker checker(schema, block, place);
  checker.sizes();
  for (std::size_t row = 0; row < static_cast<std::size_t>(block.rows); ++row) {
    checker.concepts(row);
    checker.mentions(row);
    checker.relations(row);
  }
}

}  // namespace tributary
