#include "optim/reducer_choice.h"

#include <algorithm>

#include "base/error.h"

namespace tributary {
namespace {

// Nodes of the ranks that hold the stages of a place, by the number of their copy.
std::vector<int> nodes_of_place(int place, const GridShape& shape, const std::vector<GridPlace>& places, const std::vector<int>& node_of_rank) {
  std::vector<int> nodes(static_cast<std::size_t>(shape.data));
  for (std::size_t r = 0; r < places.size(); ++r)
    if (places[r].pipeline == place) nodes[static_cast<std::size_t>(places[r].data)] = node_of_rank[r];
  return nodes;
}

ReducerChoice choose_gpu_reducer(const std::string& asked, const GridShape& shape, const std::vector<TeamShape>& teams) {
  if (asked == "mpi" || asked == "window")
    fail(ErrorKind::launch, "parallel.reducer = \"{}\" sums in the memory of the host, and run.device = \"cuda\"; take \"auto\" or \"nccl\"", asked);
  if (shape.data == 1) return {"nccl", teams, "one copy of the model: gradients are not summed over ranks"};
  const TeamShape& first = teams.front();
  return {"nccl", teams,
          first.local == 1
              ? fmt::format("gradients are summed by nccl, every rank with every other of {}", shape.data)
              : fmt::format("gradients are summed by nccl, first inside nodes, then between them: {} rank(s) a node, {} node(s)", first.local, first.nodes)};
}

}  // namespace

ReducerChoice choose_reducer(const std::string& asked, at::DeviceType device, const GridShape& shape, const std::vector<GridPlace>& places,
                             const std::vector<int>& node_of_rank) {
  const auto pipeline = static_cast<std::size_t>(shape.pipeline);
  const std::vector<TeamShape> apart(pipeline, {shape.data, 1});
  std::vector<TeamShape> teams;
  for (int place = 0; place < shape.pipeline; ++place) {
    const std::optional<TeamShape> team = team_shape(nodes_of_place(place, shape, places, node_of_rank));
    if (team) teams.push_back(*team);
  }
  if (device != at::kCPU) return choose_gpu_reducer(asked, shape, teams.size() == pipeline ? teams : apart);
  if (asked == "mpi") return {"mpi", apart, "gradients are summed by mpi, as asked for"};
  if (asked == "nccl") fail(ErrorKind::launch, "parallel.reducer = \"nccl\" sums on GPUs, and run.device = \"cpu\"; take \"auto\", \"window\" or \"mpi\"");
  if (teams.size() == pipeline && (asked == "window" || std::any_of(teams.begin(), teams.end(), [](const TeamShape& t) { return t.local > 1; })))
    return {"window", teams, fmt::format("gradients are summed in shared memory, {} rank(s) a node, {} node(s)", teams.front().local, teams.front().nodes)};
  if (asked == "window")
    fail(ErrorKind::launch,
         "parallel.reducer = \"window\" needs the same number of data-parallel ranks on every node, neighbours by rank ({} x {} ranks stand otherwise); start "
         "equally many ranks a node (Slurm: --ntasks-per-node), or take \"mpi\"",
         shape.data, shape.pipeline);
  if (shape.data == 1) return {"mpi", apart, "one copy of the model: gradients are not summed over ranks"};
  return {"mpi", apart,
          teams.size() == pipeline ? "gradients are summed by mpi: no two data-parallel ranks share a node"
                                   : "gradients are summed by mpi: nodes have unequal numbers of data-parallel ranks (Slurm: --ntasks-per-node)"};
}

}  // namespace tributary
