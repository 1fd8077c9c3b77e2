// What a person wants to know of a data set at a glance: gathered from its index and its observed bits.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "shards/shard_reader.h"

namespace tributary {

struct DataSetSummary {
  std::array<std::int64_t, 4> with{};               // records with static, series, notes, image (the bits of Presence)
  std::vector<std::int64_t> static_observed;        // [S] records
  std::vector<std::vector<std::int64_t>> observed;  // [groups][C] cells of the records' valid hours
  std::int64_t hours = 0;                           // valid hours of all records
  std::int64_t notes = 0, tokens = 0, text_bytes = 0, longest_note = 0;
  std::int64_t concepts = 0, mentions = 0, without_concept = 0, without_token = 0;  // without_*: of the mentions
};

// Collective: all ranks of `comm`; parts are dealt to ranks. Throws on all ranks together.
[[nodiscard]] DataSetSummary summarise(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue, Verify verify);

// Tables for a terminal: records, fields with unit, missing rate, mean and deviation, text, concepts, labels.
[[nodiscard]] std::string to_text(const Catalogue& catalogue, const DataSetSummary& summary);

}  // namespace tributary
