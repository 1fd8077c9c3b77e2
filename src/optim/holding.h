// What a rank of the grid holds: the stages of its place in the pipeline, and of each the slice of its number among the ranks that hold the same.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "comm/process_grid.h"

namespace tributary {

// Keeps a reference to the grid.
struct Holding {
  const ProcessGrid& grid;
  std::vector<int> rank_of_stage;  // [stages] place in the pipeline of the rank that holds it

  // Stages of a place in the pipeline, ascending.
  [[nodiscard]] std::vector<int> stages_of(int place) const {
    std::vector<int> stages;
    for (std::size_t s = 0; s < rank_of_stage.size(); ++s)
      if (rank_of_stage[s] == place) stages.push_back(static_cast<int>(s));
    return stages;
  }
  [[nodiscard]] std::vector<int> own() const { return stages_of(grid.place().pipeline); }
  [[nodiscard]] int slice() const { return grid.place().data; }
  [[nodiscard]] int slices() const { return grid.shape().data; }
};

}  // namespace tributary
