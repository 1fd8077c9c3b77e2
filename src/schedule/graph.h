// What crosses the cuts when the blocks of a model are dealt to stages. Pure: names and numbers, no tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tributary {

struct GraphBlock {
  std::string name;
  std::vector<std::string> takes;       // named tensors of earlier blocks
  std::vector<std::string> gives;       // named tensors, none of which another block gives
  std::vector<std::string> parameters;  // a shared parameter stands in every block that uses it
};

struct ModelGraph {
  std::vector<GraphBlock> blocks;
  std::vector<std::string> outputs;  // named tensors handed back for every leaf: they travel on to the last stage, which has them all
  std::vector<std::string> frozen;   // parameters that are not trained
  std::string loss = "loss";         // where backward starts
};

// A named tensor and how far it goes. It crosses the boundary in front of block j when giver < j <= last_use, its gradient when giver < j <= last_learning.
struct GraphTensor {
  std::string name;
  std::size_t giver = 0;          // block
  std::size_t place = 0;          // in its list `gives`
  std::size_t last_use = 0;       // the last block that takes it, for an output the last of the model; the giver itself where nobody does
  std::size_t last_learning = 0;  // the last block that takes it on a way from a trained parameter to the loss; the giver itself where none does
  [[nodiscard]] bool crosses(std::size_t block) const { return giver < block && block <= last_use; }
  [[nodiscard]] bool gradient_crosses(std::size_t block) const { return giver < block && block <= last_learning; }
};

// All named tensors in the order in which the blocks give them: the order in which they cross.
// Throws: Error{internal} when a block takes what no earlier one gives, gives what another gives, or the model puts out what no block gives.
[[nodiscard]] std::vector<GraphTensor> tensors_of(const ModelGraph& graph);

// The first block of each stage, ascending, beginning with 0: stage s has the blocks [cut[s], cut[s + 1]), the last one those up to the end.
using Cut = std::vector<std::size_t>;

// Throws: Error{configuration} for a cut that isn't one: stages without blocks, or out of order.
void check_cut(const Cut& cut, std::size_t blocks);

// Throws: Error{configuration} when there are more stages than blocks.
void check_stages(std::size_t stages, std::size_t blocks);

// A cut written as `parallel.partition`: the number of blocks of each stage, in order. Counts are contiguous by nature, and their sum tells when the model has
// changed. Throws: Error{configuration} for another number of stages, a stage without blocks, another sum.
[[nodiscard]] Cut cut_of_counts(std::span<const std::int64_t> counts, std::size_t blocks, std::size_t stages);
[[nodiscard]] std::vector<std::int64_t> counts_of_cut(const Cut& cut, std::size_t blocks);

}  // namespace tributary
