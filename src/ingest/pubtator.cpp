#include "ingest/pubtator.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "ingest/note_text.h"
#include "ingest/pattern.h"
#include "ingest/text_lines.h"
#include "shards/entities.h"

namespace tributary {
namespace {

struct MentionLine {
  std::int64_t line = 0, begin = 0, end = 0;  // characters
  std::string text, type, ids;
};

struct RelationLine {
  std::int64_t line = 0;
  std::string name, head, tail, novelty;
};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Bytes at which the characters of a text begin, and its size.
std::vector<std::int32_t> character_starts(std::string_view text) {
  std::vector<std::int32_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80) starts.push_back(static_cast<std::int32_t>(i));
  starts.push_back(static_cast<std::int32_t>(text.size()));
  return starts;
}

class Reader {
 public:
  Reader(const Recipe& recipe, const PubtatorVisitor& visitor) : recipe_(recipe), rule_(*recipe.documents), visitor_(visitor) {}

  void line(std::int64_t number, std::string_view bytes) {
    const Utf8Text line = as_utf8(bytes);
    if (line.replaced_bytes > 0) visitor_.replaced(line.replaced_bytes);
    const std::string& text = line.text;
    if (trimmed(text).empty()) return finish();
    const std::size_t bar = text.find('|'), tab = text.find('\t');
    if (bar < tab && bar > 0 && bar + 2 < text.size() && text[bar + 2] == '|' && (text[bar + 1] == 't' || text[bar + 1] == 'a'))
      return passage(number, text.substr(0, bar), text[bar + 1] == 't', text.substr(bar + 3));
    const std::vector<std::string_view> fields = pieces_of(text);
    if (fields.size() < 4) return bad(number, "neither a title, an abstract, a mention nor a relation");
    if (!open_ || fields[0] != id_) return bad(number, "a line of another document than the title above it");
    annotation(number, fields);
  }

  void finish() {
    if (!std::exchange(open_, false)) return;
    delivering_ = true;
    deliver();
    delivering_ = false;
  }

 private:
  static std::vector<std::string_view> pieces_of(std::string_view text) {
    std::vector<std::string_view> fields;
    for (;;) {
      const std::size_t tab = text.find('\t');
      fields.push_back(trimmed(text.substr(0, tab)));
      if (tab == std::string_view::npos) return fields;
      text.remove_prefix(tab + 1);
    }
  }

  void bad(std::int64_t number, std::string_view reason) const { visitor_.bad(number, open_ || delivering_ ? id_ : std::string(), reason); }

  void passage(std::int64_t number, std::string id, bool title, std::string text) {
    if (title) {
      finish();
      open_ = true;
      has_abstract_ = false;
      id_ = std::move(id);
      first_line_ = number;
      title_ = std::move(text);
      abstract_.clear();
      mentions_.clear();
      relations_.clear();
      unnamed_.clear();
      return;
    }
    if (!open_ || id != id_) return bad(number, "an abstract without the title of its document above it");
    if (std::exchange(has_abstract_, true)) return bad(number, "a second abstract of the document");
    abstract_ = std::move(text);
  }

  void annotation(std::int64_t number, const std::vector<std::string_view>& fields) {
    const auto begin = whole_number(fields[1]);
    if (!begin) {
      relations_.push_back({number, std::string(fields[1]), std::string(fields[2]), std::string(fields[3]), std::string(fields.size() > 4 ? fields[4] : "")});
      return;
    }
    const auto end = whole_number(fields[2]);
    if (!end || fields.size() < 5) return bad(number, "a mention without its end, text or type");
    mentions_.push_back({number, *begin, *end, std::string(fields[3]), std::string(fields[4]), std::string(fields.size() > 5 ? fields[5] : "")});
  }

  void deliver() {
    const std::string text = title_ + ' ' + abstract_;
    if (trimmed(text).empty()) return bad(first_line_, "an empty document");
    PubtatorDocument document{id_, first_line_, {title_ + '\n' + abstract_, {}}};
    add_mentions(text, document.content.entities);
    for (const RelationLine& relation : relations_) add_relation(relation, document.content.entities);
    visitor_.document(std::move(document));
  }

  [[nodiscard]] std::vector<std::string> ids_of(const std::string& field) const {
    std::vector<std::string> ids{field};
    for (const std::string& separator : rule_.separators) {
      std::vector<std::string> parts;
      for (const std::string& id : ids)
        for (const std::string_view piece : pieces(id, separator)) parts.emplace_back(trimmed(piece));
      ids = std::move(parts);
    }
    std::erase_if(ids, [&](const std::string& id) { return id.empty() || matches_any(rule_.no_id, id); });
    return ids;
  }

  void add_mentions(const std::string& text, RecordEntities& entities) {
    const std::vector<std::int32_t> starts = character_starts(text);
    const auto characters = static_cast<std::int64_t>(starts.size()) - 1;
    std::stable_sort(mentions_.begin(), mentions_.end(),
                     [](const MentionLine& a, const MentionLine& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
    const MentionLine* last = nullptr;
    for (const MentionLine& mention : mentions_) {
      const auto type = std::find(rule_.types.begin(), rule_.types.end(), mention.type);
      if (type == rule_.types.end()) {
        visitor_.left_out("mentions of types that the recipe does not name");
        for (std::string& id : ids_of(mention.ids)) unnamed_.insert(std::move(id));
      } else if (mention.begin < 0 || mention.end > characters || mention.begin >= mention.end) {
        bad(mention.line, "a mention outside the text of its document");
      } else if (last != nullptr && last->begin == mention.begin && last->end == mention.end) {
        bad(mention.line, "a second mention at the same place");
      } else {
        const std::int32_t begin = starts[static_cast<std::size_t>(mention.begin)], end = starts[static_cast<std::size_t>(mention.end)];
        if (trimmed(std::string_view(text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))) != mention.text) {
          bad(mention.line, "a mention that is not the text at its place");
          continue;
        }
        entities.add_mention(0, begin, end, static_cast<std::uint8_t>(type - rule_.types.begin()), ids_of(mention.ids));
        last = &mention;
      }
    }
  }

  void add_relation(const RelationLine& line, RecordEntities& entities) {
    const std::int32_t first = entities.find(line.head), second = entities.find(line.tail);
    const auto unnamed = [&](std::int32_t found, const std::string& id) { return found < 0 && unnamed_.contains(id); };
    if (unnamed(first, line.head) || unnamed(second, line.tail)) return visitor_.left_out("relations of concepts of types that the recipe does not name");
    if (first < 0 || second < 0) return bad(line.line, "a relation of a concept that no mention names");
    if (first == second) return visitor_.left_out("relations of a concept with itself");
    bool named = false;
    for (std::size_t t = 0; t < recipe_.tasks.size(); ++t) {
      const TaskRule& task = recipe_.tasks[t];
      for (std::size_t k = 0; k < task.categories.size(); ++k) {
        if (task.kind != TaskKind::relation || !matches_any(task.categories[k].patterns, line.name)) continue;
        named = true;
        add_pair(line, t, {first, second}, static_cast<std::uint16_t>(k + 1), entities);
      }
    }
    if (!named) visitor_.left_out("relations that no task names");
  }

  void add_pair(const RelationLine& line, std::size_t task_number, ConceptPair pair, std::uint16_t label, RecordEntities& entities) const {
    const TaskRule& rule = recipe_.tasks[task_number];
    Task task;
    task.candidates = rule.candidates;
    task.directed = rule.directed;
    const std::vector<std::uint8_t> types = entities.types();
    if (!task.directed && !is_candidate(task, types, pair)) std::swap(pair.head, pair.tail);
    if (!is_candidate(task, types, pair)) return visitor_.left_out("relations between types that are no candidates of their task");
    const auto same = [&](const RecordRelation& r) { return r.task == task_number && r.head == pair.head && r.tail == pair.tail; };
    if (std::any_of(entities.relations.begin(), entities.relations.end(), same))
      return visitor_.left_out("relations of a pair that has one of the task already");
    const Novelty novelty = line.novelty == "Novel" ? Novelty::novel : line.novelty == "No" ? Novelty::known : Novelty::not_told;
    entities.relations.push_back({static_cast<std::uint32_t>(task_number), pair.head, pair.tail, label, novelty});
  }

  const Recipe& recipe_;
  const PubtatorRule& rule_;
  const PubtatorVisitor& visitor_;
  bool open_ = false, delivering_ = false, has_abstract_ = false;
  std::string id_, title_, abstract_;
  std::int64_t first_line_ = 0;
  std::vector<MentionLine> mentions_;
  std::vector<RelationLine> relations_;
  std::set<std::string> unnamed_;  // concepts of the document's mentions whose types the recipe does not name
};

}  // namespace

void read_pubtator(const std::filesystem::path& path, const Recipe& recipe, const PubtatorVisitor& visitor) {
  Reader reader(recipe, visitor);
  read_lines(path, [&](std::int64_t number, std::string_view line) { reader.line(number, line); });
  reader.finish();
}

}  // namespace tributary
