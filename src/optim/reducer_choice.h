// Which backend sums the gradients of a run. Pure; never silently another one than asked for.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "comm/process_grid.h"
#include "comm/team.h"

namespace tributary {

struct ReducerChoice {
  std::string backend;           // mpi, window, nccl
  std::vector<TeamShape> teams;  // [places in a pipeline] how the ranks that hold the same stages share memory
  std::string why;               // for the log: what was chosen, and by what
};

// asked: parallel.reducer; device: what the gradients lie on; node_of_rank: of every rank of the grid. Throws: Error{launch} naming what keeps the ranks from
// the backend asked for.
[[nodiscard]] ReducerChoice choose_reducer(const std::string& asked, at::DeviceType device, const GridShape& shape, const std::vector<GridPlace>& places,
                                           const std::vector<int>& node_of_rank);

}  // namespace tributary
