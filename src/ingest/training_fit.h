// What is learned from the training records before anything is written: word counts and label counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "ingest/event.h"
#include "ingest/recipe.h"
#include "ingest/sample_index.h"

namespace tributary {

struct TrainingCounts {
  std::map<std::string, std::int64_t> words;                // of the notes
  std::vector<std::map<std::string, std::int64_t>> labels;  // [task rule]; empty for tasks that are not fitted
};

// Of the training rows of one part.
[[nodiscard]] TrainingCounts count_training(const Recipe& recipe, const std::vector<SampleRow>& rows, const EventList& events);

void add(TrainingCounts& sum, const TrainingCounts& more);

// Collective: all ranks of `comm`. The sums over ranks.
[[nodiscard]] TrainingCounts merged(const Communicator& comm, const TrainingCounts& mine);

}  // namespace tributary
