#include "ingest/note_text.h"

#include <algorithm>
#include <set>

#include "ingest/pattern.h"

namespace tributary {
namespace {

// Lower case, ASCII, white space in single blanks.
std::string clean(std::string_view text) {
  std::string result;
  for (const char c : trimmed(text)) {
    const bool blank = static_cast<unsigned char>(c) <= 32;
    if (!blank || (!result.empty() && result.back() != ' ')) result.push_back(blank ? ' ' : c);
  }
  return ascii_only(lower_case(result));
}

}  // namespace

NoteEntry render_entry(const NoteRule& rule, std::string_view path, std::string_view text) {
  std::vector<std::string> elements;
  for (const std::string_view piece : pieces(path, rule.separator)) {
    std::string element = clean(piece);
    if (element.empty() || matches_any(rule.drop, element)) continue;
    if (!elements.empty() && element.starts_with(elements.back()))
      elements.back() = std::move(element);  // ".../HR/HR Current": the longer one says both
    else
      elements.push_back(std::move(element));
  }
  std::string value = clean(text);
  while (!value.empty() && (value.back() == '.' || value.back() == ',')) value.pop_back();
  if (!elements.empty() && (value.empty() || value == elements.back())) {
    value = elements.back();
    elements.pop_back();
  }
  if (value.empty()) return {};
  NoteEntry entry;
  entry.paragraph = elements.empty() ? "" : elements.front();
  entry.sentence = rule.prefix;
  for (const std::string& element : elements) entry.sentence += ", " + element;
  entry.sentence += ": " + value + ".";
  return entry;
}

std::string join_entries(const std::vector<NoteEntry>& entries) {
  std::vector<std::pair<std::string, std::string>> paragraphs;
  std::set<std::string> said;
  for (const NoteEntry& entry : entries) {
    if (entry.sentence.empty() || !said.insert(entry.sentence).second) continue;
    auto place = std::find_if(paragraphs.begin(), paragraphs.end(), [&](const auto& paragraph) { return paragraph.first == entry.paragraph; });
    if (place == paragraphs.end()) place = paragraphs.insert(paragraphs.end(), {entry.paragraph, ""});
    place->second += (place->second.empty() ? "" : " ") + entry.sentence;
  }
  std::string note;
  for (const auto& [name, text] : paragraphs) note += (note.empty() ? "" : "\n\n") + text;
  return note;
}

}  // namespace tributary
