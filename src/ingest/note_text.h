// Path/value entries of structured notes as sentences.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/recipe.h"

namespace tributary {

struct NoteEntry {
  std::string paragraph;  // entries of one note with the same first path element stand in one paragraph
  std::string sentence;   // "Physical exam, neurologic, gcs, motor score: 6."
};

// An empty sentence where there is nothing to say. Bytes that are not ASCII become '?': the result is UTF-8 whatever the table's encoding.
[[nodiscard]] NoteEntry render_entry(const NoteRule& rule, std::string_view path, std::string_view text);

// One note: paragraphs in order of their first entry, parted by an empty line; a sentence that was said before is left out.
[[nodiscard]] std::string join_entries(const std::vector<NoteEntry>& entries);

}  // namespace tributary
