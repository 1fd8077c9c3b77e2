// Random models with their costs: small whole numbers, so that sums are exact in any order. Equal keys, equal problems.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/key.h"
#include "schedule/partition.h"

namespace tributary::testing_support {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : key_(derive_key(Draw::synth, {seed, 5})) {}
  // Of [0, sides).
  int operator()(int sides) { return static_cast<int>(uniform(key_, next_++) * sides); }

 private:
  Key key_;
  std::uint64_t next_ = 0;
};

struct Crossing {
  std::string name;
  bool gradient = false;  // one comes back for it
  bool operator==(const Crossing&) const = default;
};

// What crosses the boundary in front of a block.
inline std::vector<Crossing> crossing(const ModelGraph& graph, std::size_t block) {
  std::vector<Crossing> found;
  for (const GraphTensor& tensor : tensors_of(graph))
    if (tensor.crosses(block)) found.push_back({tensor.name, tensor.gradient_crosses(block)});
  return found;
}

// Branches that skip blocks, tensors taken twice or by nobody, outputs in the middle, shared and frozen parameters.
inline ModelGraph random_graph(Dice& dice, int blocks) {
  ModelGraph graph;
  std::vector<std::string> given;
  for (int b = 0; b < blocks; ++b) {
    GraphBlock block{.name = fmt::format("block{}", b)};
    for (int takes = given.empty() ? 0 : dice(4); takes > 0; --takes) block.takes.push_back(given[given.size() - 1 - dice(std::min<int>(7, given.size()))]);
    for (int gives = dice(3); gives > 0; --gives) block.gives.push_back(fmt::format("t{}.{}", b, gives));
    if (b + 1 == blocks) block.gives.push_back(graph.loss);
    for (int p = 0; p < 3; ++p)
      if (dice(2) == 0) block.parameters.push_back(fmt::format("p{}", b + p - dice(2) * 2));
    std::sort(block.parameters.begin(), block.parameters.end());
    block.parameters.erase(std::unique(block.parameters.begin(), block.parameters.end()), block.parameters.end());
    for (const std::string& name : block.gives)
      if (dice(6) == 0) graph.outputs.push_back(name);
    for (const std::string& name : block.gives) given.push_back(name);
    graph.blocks.push_back(block);
  }
  for (int p = 0; p < blocks; ++p)
    if (dice(6) == 0) graph.frozen.push_back(fmt::format("p{}", p));
  return graph;
}

// Stages round the ranks, or for two chunks there and back.
inline std::vector<int> random_placement(Dice& dice, int ranks, int chunks) {
  const bool back = chunks == 2 && dice(2) == 0;
  std::vector<int> result;
  for (int s = 0; s < ranks * chunks; ++s) result.push_back(back && s >= ranks ? 2 * ranks - 1 - s : s % ranks);
  return result;
}

inline PartitionProblem random_problem(Dice& dice, int blocks, int ranks, int chunks) {
  PartitionProblem problem;
  problem.graph = random_graph(dice, blocks);
  for (const GraphBlock& block : problem.graph.blocks) {
    BlockCost cost{static_cast<double>(dice(4)), static_cast<double>(dice(4)), static_cast<double>(dice(3)), dice(9), {}};
    for (std::size_t g = 0; g < block.gives.size(); ++g) cost.gives_bytes.push_back(dice(8));
    cost.transient_bytes = problem.blocks.size() % 4 == 1 ? 7 : 0;
    problem.blocks.push_back(cost);
    for (const std::string& name : block.parameters) problem.parameter_bytes.try_emplace(name, dice(12));
  }
  problem.state = {1, static_cast<double>(dice(3)), 2, 1 + dice(3), blocks % 2 * 0.5, blocks % 3 * 0.5};
  problem.rank_of_stage = random_placement(dice, ranks, chunks);
  for (int s = 0; s < ranks * chunks; ++s) problem.live.push_back(dice(4));
  if (dice(3) > 0) problem.link = {dice(2) == 0 ? 2.0 : 8.0, dice(3) * 0.5};
  return problem;
}

inline Cut random_cut(Dice& dice, int blocks, int stages) {
  Cut cut;
  for (int s = 0; s < stages; ++s) {
    const int from = s == 0 ? 0 : static_cast<int>(cut.back()) + 1, upto = s == 0 ? 0 : blocks - (stages - s);
    cut.push_back(static_cast<std::size_t>(from + dice(upto - from + 1)));
  }
  return cut;
}

}  // namespace tributary::testing_support
