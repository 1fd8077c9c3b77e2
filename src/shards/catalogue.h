// catalogue.json: the one document that says what a data set directory holds. Written last, so a directory without it is not a data set.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shards/schema.h"
#include "shards/tokenizer_options.h"

namespace tributary {

inline constexpr int shard_format_version = 1;

struct ChannelStatistics {  // of observed training values, in double
  double mean = 0;
  double deviation = 1;  // population standard deviation; 1 where it would be 0 or nothing was observed
  std::int64_t count = 0;
  bool operator==(const ChannelStatistics&) const = default;
};

struct Normalisation {
  std::vector<ChannelStatistics> statics;              // [S]
  std::vector<std::vector<ChannelStatistics>> series;  // [groups][C]
  bool operator==(const Normalisation&) const = default;
};

struct PartInfo {
  std::string file;                              // "part-00000.h5", beside the catalogue
  std::array<std::int64_t, split_count> rows{};  // train, validation, test; rows of a part stand in this order
  std::uint64_t size_bytes = 0;
  std::vector<std::string> block_digests;  // hex SHA-256 of each 16 MiB
  std::string file_digest;                 // hex root
  std::string content_digest;              // hex, logical (FORMAT.md)
  [[nodiscard]] std::int64_t total_rows() const { return rows[0] + rows[1] + rows[2]; }
};

// Valid labels of a task. A multilabel record counts once in `valid` and once in each class it has; a relation task counts candidate pairs, class 0 those
// that are not related.
struct LabelCounts {
  std::array<std::int64_t, split_count> valid{};
  std::vector<std::array<std::int64_t, split_count>> classes;  // [classes][split]; empty for regression
  bool operator==(const LabelCounts&) const = default;
};

struct Catalogue {
  Schema schema;
  Normalisation normalisation;
  std::int64_t chunk_rows = 64;
  std::vector<PartInfo> parts;
  std::string split_salt;
  std::string origin;                         // recipe name or "synth", with its digest
  std::vector<std::string> vocabulary;        // one token a line of the vocabulary file; empty without notes
  std::string vocabulary_file = "vocab.txt";  // beside the catalogue; another name after its tokens were replaced
  std::string tokenizer_digest;               // names the token group in each part: /tokens/<digest>
  TokenizerOptions tokenizer;                 // how texts became tokens; of no meaning without notes
  std::string content_digest;                 // over the parts' content digests (FORMAT.md)
  std::vector<LabelCounts> label_counts;      // one a task
  [[nodiscard]] std::int64_t rows(Split split) const;
  [[nodiscard]] std::int64_t total_rows() const;
};

// Without the vocabulary, which has a file of its own; with a digest over the document, so that an edit by hand or a flipped bit is found.
[[nodiscard]] std::string to_json(const Catalogue& catalogue);
[[nodiscard]] Catalogue catalogue_from_json(const std::string& json, const std::string& where);  // Throws: Error{data} naming the key

// Reads <directory>/catalogue.json and its vocabulary file. Throws: Error{missing}, Error{data} (wrong version: says both).
[[nodiscard]] Catalogue load_catalogue(const std::filesystem::path& directory);
void save_catalogue(const std::filesystem::path& directory, const Catalogue& catalogue);  // vocabulary first, catalogue.json last

}  // namespace tributary
