// Source tables to a data set directory, by a recipe, on any number of ranks with the same result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "ingest/ingest_report.h"
#include "ingest/recipe.h"
#include "ingest/tokenizer_file.h"
#include "shards/catalogue.h"

namespace tributary {

struct BuildOptions {
  std::int64_t parts = 0;      // 0: as many as the records need
  std::string salt;            // of the split; empty: the recipe's
  std::filesystem::path like;  // a data set whose vocabulary, channel order, label maps and normalisation are taken; empty: they are fitted
  TokenizerSpec tokenizer;     // of the notes; without vocabulary: made from the training notes (or taken from `like`)
};

struct BuildResult {
  Catalogue catalogue;
  IngestReport report;                   // over all ranks
  std::vector<std::string> differences;  // between the recipe and the data set of `like`
};

// Tables are dealt to ranks, their rows become small events spilled per part beside `out`; each part is then sorted and assembled by the rank that writes
// it. Memory: the list of records, and one part's events at a time.
// Collective: all ranks of `comm`. Throws on all ranks together: Error{missing} for a table, Error{data} for too many bad rows or bad columns,
// Error{cannot_create} when `out` is not empty, Error{io}. Nothing is left beside `out` then; what a killed
// build leaves there (`<out>.building-<pid>`, `<out>.spill.building-<pid>`), the next build to `out` on that host removes.
[[nodiscard]] BuildResult build_shards(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source, const std::filesystem::path& out,
                                       const BuildOptions& options);

}  // namespace tributary
