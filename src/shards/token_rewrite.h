// Replaces the token group of a data set by that of another tokenizer, without the source of its records.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"

namespace tributary {

struct TokenizedText {
  std::vector<std::int32_t> ids;    // without [CLS] and [SEP]
  std::vector<std::uint8_t> marks;  // TokenMark bits
  std::vector<std::int32_t> begin;  // byte of the text where each token begins, and one past its last
  std::vector<std::int32_t> end;
};

// Collective: all ranks of `comm`. Tokenizes every note's text and writes new parts beside the old ones, under names that carry the tokenizer's digest; then
// the new vocabulary, also under a name of its own; then replaces catalogue.json in one step; then removes the old files. Whoever dies on the way leaves the
// data set as it was or as it shall be; files that its catalogue does not name are left-overs, removed by the next rewrite. Everything but tokens, the
// mentions' first tokens, index columns derived from tokens, and digests stays as it is. Does nothing when the data set has this tokenizer's tokens already.
// Throws on all ranks together: Error{missing, data} for the old data set, Error{configuration} for one without notes, Error{io}, Error{cannot_create}.
Catalogue rewrite_tokens(const Communicator& comm, const std::filesystem::path& directory, const std::function<TokenizedText(std::string_view text)>& tokenize,
                         const std::vector<std::string>& vocabulary, const std::string& tokenizer_digest, const TokenizerOptions& options = {});

}  // namespace tributary
