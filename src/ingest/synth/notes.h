// Notes from a small clinical grammar, with their token ids made from ready fragments instead of by reading the text again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ingest/synth/draws.h"
#include "ingest/synth/latent.h"
#include "ingest/tokenizer.h"
#include "shards/record_block.h"

namespace tributary::synth {

// All words of the grammar but its numbers, which WordPiece then cuts into digits as it does in real notes.
[[nodiscard]] std::vector<std::string> grammar_vocabulary();

class NoteWriter {
 public:
  explicit NoteWriter(const Tokenizer& tokenizer);  // keeps nothing of it

  // Appends one note of about `words` words to text, token_ids and token_marks (offsets are the caller's).
  // The tokens are those that the tokenizer would give for the text.
  void append_note(Draws& draws, const Factors& factors, std::int64_t words, NoteColumns& notes) const;

 private:
  struct Fragment {
    std::string text;
    std::vector<std::int32_t> ids;
    std::int64_t spaces = 0;
  };
  struct Slot {
    int factor = -1;
    std::vector<std::vector<Fragment>> levels;
  };
  struct Piece {  // of a sentence: a fixed text, or a slot to fill
    Fragment fixed;
    std::ptrdiff_t slot = -1;
  };
  using Sentence = std::vector<Piece>;

  [[nodiscard]] static Fragment fragment(const Tokenizer& tokenizer, std::string_view text);
  [[nodiscard]] static Sentence parse(const Tokenizer& tokenizer, std::string_view pattern);
  [[nodiscard]] const Fragment& fill(const Slot& slot, Draws& draws, const Factors& factors) const;
  std::int64_t append_sentence(const Sentence& sentence, std::uint8_t marks, Draws& draws, const Factors& factors, NoteColumns& notes) const;

  std::vector<Slot> slots_;
  std::vector<std::vector<Sentence>> paragraphs_;
};

}  // namespace tributary::synth
