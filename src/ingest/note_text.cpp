#include "ingest/note_text.h"

#include <algorithm>
#include <set>

#include "ingest/pattern.h"
#include "shards/block_checks.h"

namespace tributary {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

// White space in single blanks.
std::string clean(std::string_view text) {
  std::string result;
  for (const char c : trimmed(text)) {
    const bool blank = static_cast<unsigned char>(c) <= 32;
    if (!blank || (!result.empty() && result.back() != ' ')) result.push_back(blank ? ' ' : c);
  }
  return result;
}

bool begins_with(std::string_view text, std::string_view beginning) { return same_letters(text.substr(0, beginning.size()), beginning); }

}  // namespace

Utf8Text as_utf8(std::string_view bytes) {
  Utf8Text result;
  if (is_utf8(bytes)) {
    result.text = bytes;
    return result;
  }
  while (!bytes.empty()) {
    std::size_t length = 1;  // of the character that begins here; 5: none does
    while (length < 5 && !(length <= bytes.size() && is_utf8(bytes.substr(0, length)))) ++length;
    if (length < 5) {
      result.text += bytes.substr(0, length);
      bytes.remove_prefix(length);
    } else {
      result.text += replacement;
      ++result.replaced_bytes;
      bytes.remove_prefix(1);
    }
  }
  return result;
}

NoteEntry render_entry(const NoteRule& rule, std::string_view path, std::string_view text) {
  std::vector<std::string> elements;
  for (const std::string_view piece : pieces(path, rule.separator)) {
    std::string element = clean(piece);
    if (element.empty() || matches_any(rule.drop, element)) continue;
    if (!elements.empty() && begins_with(element, elements.back()))
      elements.back() = std::move(element);  // ".../HR/HR Current": the longer one says both
    else
      elements.push_back(std::move(element));
  }
  std::string value = clean(text);
  while (!value.empty() && (value.back() == '.' || value.back() == ',')) value.pop_back();
  if (!elements.empty() && (value.empty() || same_letters(value, elements.back()))) {
    if (value.empty()) value = elements.back();
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
