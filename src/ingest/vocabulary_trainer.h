// A WordPiece vocabulary from words and their counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shards/tokenizer_options.h"

namespace tributary {

using WordCounts = std::map<std::string, std::int64_t>;

struct VocabularyTraining {
  std::size_t size = 30522;
  std::int64_t min_count = 2;          // a pair seen less often is not merged
  std::size_t most_characters = 1000;  // the most frequent ones; a word with another is left out
  std::int64_t unused = 0;             // tokens [unused1], [unused2], ... that no text gives, for the markers of a model
  TokenizerOptions options;
};

// Special tokens, unused ones, characters (plain, then continuing), then merges: the pair of neighbouring pieces that the words hold most often becomes a piece
// (ties: the pair of the lower piece numbers), again and again, until `size` pieces are there or no pair reaches `min_count`. ASCII is always among the
// characters. Depends on the counts alone. Memory: a few times that of the words. Throws: Error{configuration} when `size` does not hold special and unused
// tokens and characters. Source: Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units" (2016), as Hugging Face's
// WordPieceTrainer applies it.
[[nodiscard]] std::vector<std::string> train_vocabulary(const WordCounts& words, const VocabularyTraining& training);

}  // namespace tributary
