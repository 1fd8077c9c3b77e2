#include "comm/process_grid.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// Number of the node of every rank: nodes are named after their lowest rank.
std::vector<int> nodes_of(const Communicator& world, const Communicator& node) {
  std::vector<std::int64_t> first(static_cast<std::size_t>(world.size()), 0);
  std::vector<std::int64_t> lowest{-world.rank()};
  node.maximum(lowest);
  first[static_cast<std::size_t>(world.rank())] = -lowest[0];
  world.sum(first);
  return {first.begin(), first.end()};
}

}  // namespace

GridShape grid_shape(int world, const std::string& data, int pipeline) {
  const auto refuse = [&](const std::string& why) {
    fail(ErrorKind::launch, "parallel.data = {} x parallel.pipeline = {} must be the number of ranks, {}: {}", data, pipeline, world, why);
  };
  check(pipeline >= 1, "parallel.pipeline = {} passed the configuration", pipeline);
  if (data == "auto") {
    if (world % pipeline != 0) refuse(fmt::format("{} is no multiple of {}; start a multiple of it, or change parallel.pipeline", world, pipeline));
    return {world / pipeline, pipeline};
  }
  int copies = 0;
  const auto [end, error] = std::from_chars(data.data(), data.data() + data.size(), copies);
  check(error == std::errc() && end == data.data() + data.size() && copies >= 1, "parallel.data = {} passed the configuration", data);
  if (static_cast<std::int64_t>(copies) * pipeline != world)
    refuse(fmt::format("{} x {} = {}; start {} ranks, or take parallel.data = \"auto\"", copies, pipeline, static_cast<std::int64_t>(copies) * pipeline,
                       static_cast<std::int64_t>(copies) * pipeline));
  return {copies, pipeline};
}

std::vector<GridPlace> place_ranks(const GridShape& shape, std::span<const int> node_of_rank) {
  const auto ranks = static_cast<int>(node_of_rank.size());
  check(shape.data * shape.pipeline == ranks, "a grid of {} x {} for {} ranks", shape.data, shape.pipeline, ranks);
  std::vector<int> order;  // nodes in order of their first rank
  for (const int node : node_of_rank)
    if (std::find(order.begin(), order.end(), node) == order.end()) order.push_back(node);
  std::vector<std::vector<int>> pipelines;
  std::vector<int> left_over;
  for (const int node : order) {
    std::vector<int> here;
    for (int r = 0; r < ranks; ++r)
      if (node_of_rank[static_cast<std::size_t>(r)] == node) here.push_back(r);
    const auto whole = here.size() / static_cast<std::size_t>(shape.pipeline) * static_cast<std::size_t>(shape.pipeline);
    for (std::size_t i = 0; i < whole; i += static_cast<std::size_t>(shape.pipeline))
      pipelines.emplace_back(here.begin() + static_cast<std::ptrdiff_t>(i), here.begin() + static_cast<std::ptrdiff_t>(i) + shape.pipeline);
    left_over.insert(left_over.end(), here.begin() + static_cast<std::ptrdiff_t>(whole), here.end());
  }
  for (std::size_t i = 0; i < left_over.size(); i += static_cast<std::size_t>(shape.pipeline))
    pipelines.emplace_back(left_over.begin() + static_cast<std::ptrdiff_t>(i), left_over.begin() + static_cast<std::ptrdiff_t>(i) + shape.pipeline);
  // Copies on one node are neighbours, however the launcher dealt the ranks: sums over them are made inside the node first.
  const auto place = [&](const std::vector<int>& pipeline) {
    const auto first = static_cast<std::size_t>(pipeline.front());
    return std::pair(std::find(order.begin(), order.end(), node_of_rank[first]), first);
  };
  std::sort(pipelines.begin(), pipelines.end(), [&](const std::vector<int>& a, const std::vector<int>& b) { return place(a) < place(b); });
  std::vector<GridPlace> places(static_cast<std::size_t>(ranks));
  for (int d = 0; d < shape.data; ++d)
    for (int p = 0; p < shape.pipeline; ++p) places[static_cast<std::size_t>(pipelines[static_cast<std::size_t>(d)][static_cast<std::size_t>(p)])] = {d, p};
  return places;
}

ProcessGrid::ProcessGrid(Communicator world, const GridShape& shape)
    : shape_(shape),
      world_(std::move(world)),
      node_(world_.split_by_node()),
      nodes_(nodes_of(world_, node_)),
      places_(place_ranks(shape, nodes_)),
      data_(world_.split(place().pipeline, place().data)),
      pipeline_(world_.split(place().data, place().pipeline)),
      activations_(pipeline_.split(0, place().pipeline)),
      gradients_(pipeline_.split(0, place().pipeline)) {}

std::vector<int> ProcessGrid::ranks_of_pipeline() const {
  std::vector<int> ranks(static_cast<std::size_t>(shape_.pipeline));
  for (std::size_t r = 0; r < places_.size(); ++r)
    if (places_[r].data == place().data) ranks[static_cast<std::size_t>(places_[r].pipeline)] = static_cast<int>(r);
  return ranks;
}

}  // namespace tributary
