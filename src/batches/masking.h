// Masked language modelling: which tokens of a note the encoder has to tell, and what stands in their place. Pure: what becomes of a token follows from (seed,
// epoch, record, its position in the record), so it is the same in any leaf, on any rank and in every window that holds the token.
// Source: Devlin et al., "BERT: pre-training of deep bidirectional transformers" (NAACL 2019), 3.1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/key.h"
#include "batches/entity_tensors.h"
#include "shards/record_index.h"
#include "shards/tokenizer_options.h"

namespace tributary {

// Of the chosen tokens 80 % become [MASK], 10 % another token drawn evenly from all that are not special, 10 % stay.
struct MaskingRule {
  double fraction = 0;                // chosen of the tokens that are not special
  std::int32_t mask = 0;              // [MASK]
  std::vector<std::int32_t> special;  // ascending: neither chosen nor drawn
  std::int64_t tokens = 0;            // of the vocabulary, special ones included
};

// Throws: Error{data} naming a special token that the vocabulary lacks, or when it holds nothing else.
[[nodiscard]] MaskingRule masking_rule(const std::vector<std::string>& vocabulary, const TokenizerOptions& options, double fraction);

// Of a record's draws. Without `training`, in evaluation, they follow from the record alone: all evaluations of a data set hide the same tokens.
[[nodiscard]] Key masking_key(const std::optional<TrainingDraws>& training, const RecordPlace& place);

struct MaskedNote {
  std::vector<std::int32_t> shown;    // what the encoder sees, one a token
  std::vector<std::int64_t> targets;  // places in the note, ascending, of the tokens to be told
};

// first: position of the note's first token in its record's sequence.
[[nodiscard]] MaskedNote mask_note(const MaskingRule& rule, const Key& key, std::int64_t first, std::span<const std::int32_t> ids);

}  // namespace tributary
