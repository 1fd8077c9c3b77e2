// How often each word stands in a corpus, the same on any number of ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "ingest/vocabulary_trainer.h"
#include "shards/catalogue.h"

namespace tributary {

struct CorpusWords {
  WordCounts counts;  // on rank 0; empty elsewhere
  std::int64_t words = 0;
  std::int64_t replaced_bytes = 0;  // that are not UTF-8 and count as U+FFFD
};

// A corpus is counted in parts that do not depend on ranks: blocks of 16 MiB of each file (whole lines), or the training records of each part of a data set.
// Memory: the distinct words; of each part the 2^20 most frequent (ties: alphabetical) are kept.
// Collective: all ranks of `comm`. Throws on all ranks together: Error{missing, io}, Error{data} for a compressed file.
[[nodiscard]] CorpusWords count_words(const Communicator& comm, const std::vector<std::filesystem::path>& files, const TokenizerOptions& options);
[[nodiscard]] CorpusWords count_words(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue,
                                      const TokenizerOptions& options);

}  // namespace tributary
