// Where each rule's values stand in the records' columns: the recipe's own order, or that of shards a model was trained on.
#pragma once

#include <string>
#include <vector>

#include "ingest/recipe.h"
#include "shards/schema.h"

namespace tributary {

struct ColumnPlace {
  int group = -1;  // -1: the schema does not have it, its values are left out
  int channel = -1;
};

struct RecordLayout {
  Schema schema;
  std::vector<std::vector<ColumnPlace>> series;  // [series rule][channel rule]
  std::vector<std::vector<int>> statics;         // [static rule][1, or its categories]; -1: left out
  std::vector<int> tasks;                        // [task rule]; -1: left out
  std::vector<std::string> differences;          // what the recipe has and the schema lacks, or the other way round
};

// `schema` has the recipe's names, or is another catalogue's; everything is found by name.
// Throws: Error{data} where both have a field or task of the same name but with another unit, kind or number of hours.
[[nodiscard]] RecordLayout lay_out(const Recipe& recipe, const Schema& schema);

}  // namespace tributary
