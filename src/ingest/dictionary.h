// Finds the terms of a dictionary in notes, with their concepts: entities for text that nobody has annotated.
//
// A text is a sequence of words: runs of letters, digits and bytes above 127, and single punctuation characters; white space and hyphens only separate, so
// "beta-blocker" is also found as "beta blocker". Words are compared in the lower case of ASCII and without the plural: of more than three letters, "ies"
// becomes "y" and a last "s" is dropped unless it follows s, u or i ("stress", "virus", "crisis" stay). A term that is one word of at most five characters
// without a lower-case letter ("MS", "ALS", "P53") is an abbreviation: it is found in exactly this spelling alone. From each word on the longest term wins;
// matches do not overlap. Of two lines with the same term the first counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct DictionaryEntry {
  std::string id;                // of the concept
  std::uint8_t type = 0;         // number in the types given
  std::string spelling;          // of an abbreviation; else empty
  std::int64_t next_exact = -1;  // another abbreviation that differs from it by a plural's s alone
};

struct DictionaryMatch {
  std::int32_t begin = 0, end = 0;  // bytes of the text
  std::uint32_t entry = 0;
};

class Dictionary {
 public:
  // `tsv`: lines of term TAB concept id TAB type; empty lines and lines that begin with '#' are passed over, as are types that `types` does not name.
  // Throws: Error{data} naming `where` and the line: less than three columns, an empty term or id, a line that is not UTF-8.
  Dictionary(std::string_view tsv, const std::vector<std::string>& types, const std::string& where);

  [[nodiscard]] std::vector<DictionaryMatch> find(std::string_view text) const;  // in order, without overlaps
  [[nodiscard]] const DictionaryEntry& entry(const DictionaryMatch& match) const { return entries_[match.entry]; }
  [[nodiscard]] std::size_t terms() const { return entries_.size(); }

 private:
  struct WordSlot {  // of a hash table: a word of some term
    std::uint64_t hash = 0;
    std::uint32_t word = 0;  // number, from 1; 0: free
    std::uint32_t text_begin = 0;
    std::uint16_t text_size = 0;
    std::uint32_t first = 0;  // state after it as the first word; 0: begins no term
  };
  struct EdgeSlot {
    std::uint64_t key = 0;  // state << 32 | word; 0: free
    std::uint32_t state = 0;
  };
  struct Word {  // of a text
    std::int32_t begin = 0, end = 0;
    const WordSlot* slot = nullptr;  // null: of no term
  };
  class WordScanner;
  void add_term(std::string_view term, DictionaryEntry entry);
  [[nodiscard]] const WordSlot* find_word(std::string_view word, std::uint64_t hash) const;
  WordSlot& make_word(std::string_view word, std::uint64_t hash);
  [[nodiscard]] std::uint32_t next_state(std::uint32_t state, std::uint32_t word) const;  // 0: none
  std::uint32_t make_state(std::uint32_t state, std::uint32_t word);
  [[nodiscard]] std::int64_t exact_entry(std::uint32_t state, std::string_view spelling) const;  // -1: none
  [[nodiscard]] std::int64_t accepted(std::uint32_t state, std::string_view spelling) const;     // entry; -1: no term ends here

  std::vector<DictionaryEntry> entries_;
  std::string word_text_;
  std::vector<WordSlot> words_;
  std::vector<EdgeSlot> edges_;
  std::size_t word_count_ = 0, edge_count_ = 0;
  struct Terminal {
    std::int64_t plain = -1, exact = -1;  // entries: any spelling, an abbreviation
  };
  std::vector<Terminal> states_ = std::vector<Terminal>(1);  // number 0 is the start
};

}  // namespace tributary
