// A data set opened for a run: what it holds, and readers and batches made from it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "batches/collator.h"
#include "batches/data_config.h"
#include "batches/row_reader.h"
#include "comm/communicator.h"
#include "model/block.h"
#include "shards/catalogue.h"
#include "shards/record_index.h"

namespace tributary {

struct DataSet {
  std::filesystem::path directory;
  Catalogue catalogue;
  RecordIndex index;
  Verify verify;
};

[[nodiscard]] Verify verify_named(const std::string& name);  // one of the names that data.verify allows

// Collective: all ranks of `comm`. Throws on all ranks together: Error{missing, data, io}, Error{launch} when ranks find different data sets.
// `alive` is called after each part that this rank has verified.
[[nodiscard]] DataSet open_data_set(const Communicator& comm, const std::filesystem::path& directory, Verify verify, const std::function<void()>& alive = {});

// Throws: Error{data}.
void require_training_records(const DataSet& data);

// Sources are not thread-safe: each thread that reads gets one of its own. Keeps a reference to `data`.
[[nodiscard]] std::unique_ptr<RowSource> make_source(const DataSet& data, const FieldSelection& fields);

// The columns that the settings keep and that are read; beside the tokens the texts, concepts and labels where the model reads marked pairs.
[[nodiscard]] FieldSelection fields_of(const Schema& schema, const DataConfig& config, const std::vector<BatchField>& read, bool marked_pairs);

// `schema`: Network::schema, or that of the data set for its own tasks alone. `marked_pairs`: as BlockList::marked_pairs.
// Throws: Error{configuration, data} as Collator, pair_marking and masking_rule.
[[nodiscard]] Collator make_collator(const DataSet& data, const Schema& schema, const DataConfig& config, const FieldSelection& fields,
                                     const std::optional<std::size_t>& marked_pairs);

}  // namespace tributary
