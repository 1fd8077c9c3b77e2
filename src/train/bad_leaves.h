// Finds the leaves behind a gradient that is not finite. Sums are made in place while backward runs, so nothing of a single leaf is left when the verdict is
// known; but a leaf's bits follow from parameters, leaf and keys alone, so they are computed once more, and looked at. A step that is applied pays nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pipeline/engine.h"
#include "train/parallel.h"
#include "train/step_record.h"

namespace tributary {

// Runs the leaves of a step again, forward and backward, and adds nothing up. `leaves`, `parameters`: as they were given to `engine`, whose model it is.
// Returns the leaves with a number that is not finite, on every rank the same. Collective: all ranks. Throws: as Engine::run().
[[nodiscard]] std::vector<BadLeaf> find_bad_leaves(const Parallel& parallel, const BlockList& model, const ModelLayout& layout, const Engine& engine,
                                                   const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves);

// What one stage found of a leaf.
struct BadFinding {
  std::size_t block = 0;  // of the model
  BadLeaf told;
};

// Of each leaf what came first: the first block whose values are not finite, else the last whose gradient is not. Pure.
[[nodiscard]] std::vector<BadLeaf> first_of_leaves(std::vector<BadFinding> findings);

// "leaves 3 (rank 1: values of block 'lstm.0'), 5 (rank 1: ...), of 8", to follow "it began in". Pure.
[[nodiscard]] std::string in_words(const std::vector<BadLeaf>& bad, std::int64_t leaves);

}  // namespace tributary
