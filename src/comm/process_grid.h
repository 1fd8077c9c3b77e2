// Which rank stands where in the grid data x pipeline, and the one owner of a run's communicators. A pipeline's ranks hold the stages of one copy of the
// model; ranks of the same place in their pipelines hold the same stages and add up gradients.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

struct GridShape {
  int data = 1;      // copies of the model
  int pipeline = 1;  // ranks a copy is cut over
  bool operator==(const GridShape&) const = default;
};

struct GridPlace {
  int data = 0;      // number of the pipeline: which leaves it is dealt
  int pipeline = 0;  // place in the pipeline: which stages it holds
  bool operator==(const GridPlace&) const = default;
};

// `data`: "auto" (world / pipeline) or a number. Throws: Error{launch} with every factor unless data x pipeline = world.
[[nodiscard]] GridShape grid_shape(int world, const std::string& data, int pipeline);

// [world] the place of every rank; node_of_rank[r] names the node that rank r runs on. A pipeline stays inside a node wherever a whole one still fits; ranks
// left over make pipelines across nodes, neighbours in order of nodes. Pipelines are numbered in order of their first rank.
[[nodiscard]] std::vector<GridPlace> place_ranks(const GridShape& shape, std::span<const int> node_of_rank);

// Owns: every communicator of a run.
class ProcessGrid {
 public:
  ProcessGrid(Communicator world, const GridShape& shape);  // Collective: all ranks of `world`

  [[nodiscard]] const GridShape& shape() const { return shape_; }
  [[nodiscard]] const std::vector<GridPlace>& places() const { return places_; }  // of every rank
  [[nodiscard]] const std::vector<int>& nodes() const { return nodes_; }          // of every rank: the number of its node's first rank
  [[nodiscard]] std::vector<int> ranks_of_pipeline() const;                       // [places] ranks of this rank's pipeline, in world()
  [[nodiscard]] const GridPlace& place() const { return places_[static_cast<std::size_t>(world_.rank())]; }

  [[nodiscard]] const Communicator& world() const { return world_; }
  [[nodiscard]] const Communicator& data() const { return data_; }          // same stages, rank = GridPlace::data: gradients, weights
  [[nodiscard]] const Communicator& pipeline() const { return pipeline_; }  // same copy, rank = GridPlace::pipeline: shared parameters, outcomes
  [[nodiscard]] const Communicator& node() const { return node_; }          // ranks that share memory
  // Duplicates of pipeline(), a channel each, so that the order of messages on one never depends on the other.
  [[nodiscard]] const Communicator& activations() const { return activations_; }
  [[nodiscard]] const Communicator& gradients() const { return gradients_; }

 private:
  GridShape shape_;
  Communicator world_, node_;
  std::vector<int> nodes_;
  std::vector<GridPlace> places_;
  Communicator data_, pipeline_, activations_, gradients_;
};

}  // namespace tributary
