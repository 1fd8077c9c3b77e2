// Adds the leaves' gradients of a step, on this rank and over all: the result is sliced over ranks (a reduce-scatter).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "model/parameters.h"
#include "optim/tree.h"
#include "pipeline/engine.h"

namespace tributary {

// Which elements of the trainable part of the arena each rank reduces, updates and keeps optimizer state for: multiples of arena_block, differing by at most
// one block.
struct ArenaSlices {
  std::vector<std::int64_t> counts, offsets;  // [ranks], in elements
};
[[nodiscard]] ArenaSlices slice_arena(std::int64_t total, int ranks);

enum class Reduction {
  exact,  // through the tree: the same bits on any number of ranks
  fast    // leaves are added as they come, then ranks in rank order: one partial sum a rank, bits depend on the number of ranks
};

class GradientTree : public GradientSink {
 public:
  // Keeps references to both.
  GradientTree(const Communicator& comm, const ParameterLayout& layout, Reduction reduction);

  // Begins a step: rank r owns leaves [bounds[r], bounds[r + 1]); the last bound is the number of leaves.
  void start(std::vector<std::int64_t> bounds);

  at::Tensor begin(std::int64_t leaf) override;
  void complete(std::int64_t leaf, at::Tensor gradient) override;

  // This rank's slice of the sum, valid until the next start(). Collective: all ranks of the communicator, those without leaves included.
  [[nodiscard]] at::Tensor reduce();

  [[nodiscard]] const ArenaSlices& slices() const { return slices_; }

 private:
  [[nodiscard]] std::vector<std::vector<TreeNode>> nodes_of_ranks() const;
  void add_topmost();

  const Communicator& comm_;
  const ParameterLayout& layout_;
  Reduction reduction_;
  ArenaSlices slices_;
  std::vector<std::int64_t> bounds_;
  std::unique_ptr<TreeCounter> counter_;
  std::vector<at::Tensor> partials_;  // as counter_->nodes()
  std::vector<at::Tensor> pool_;      // arenas to use again: first touch of fresh memory is slow
  at::Tensor received_;               // [nodes, own slice], grown as needed
};

// Sums over the leaves of a step, in double, on every rank. `values`: [own leaves, width]. Collective: all ranks.
[[nodiscard]] std::vector<double> reduce_scalars(const Communicator& comm, const std::vector<std::int64_t>& bounds, std::int64_t width,
                                                 const std::vector<double>& values);

}  // namespace tributary
