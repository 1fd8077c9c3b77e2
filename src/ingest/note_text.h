// Path/value entries of structured notes as sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/recipe.h"

namespace tributary {

struct NoteEntry {
  std::string paragraph;  // entries of one note with the same first path element stand in one paragraph
  std::string sentence;   // "Physical exam, neurologic, gcs, motor score: 6."
};

struct Utf8Text {
  std::string text;
  std::int64_t replaced_bytes = 0;
};

// Valid UTF-8 as it is; each byte that belongs to no character becomes U+FFFD, so that the text is UTF-8 whatever the table's encoding.
[[nodiscard]] Utf8Text as_utf8(std::string_view bytes);

// An empty sentence where there is nothing to say. The words keep their letters' case; only white space is joined to single blanks.
[[nodiscard]] NoteEntry render_entry(const NoteRule& rule, std::string_view path, std::string_view text);

// One note: paragraphs in order of their first entry, parted by an empty line; a sentence that was said before is left out.
[[nodiscard]] std::string join_entries(const std::vector<NoteEntry>& entries);

}  // namespace tributary
