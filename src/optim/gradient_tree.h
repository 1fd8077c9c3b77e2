// Adds the leaves' gradients of a step for one stage, on this rank and over all that hold the stage: the result is sliced over them (a reduce-scatter).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "model/parameters.h"
#include "optim/tree.h"
#include "pipeline/engine.h"
#include "pipeline/stage_layout.h"

namespace tributary {

// Which elements of a part of a buffer each rank reduces, updates and keeps optimizer state for: multiples of arena_block.
struct ArenaSlices {
  std::vector<std::int64_t> counts, offsets;  // [ranks], in elements
};

// Of [0, total): contiguous, differing by at most one block.
[[nodiscard]] ArenaSlices slice_arena(std::int64_t total, int ranks);

// Of a stage's gradient buffer: what it trains, then each of its later uses (ModelLayout::later, in order), sliced as its owner slices the parameter: so the
// owner's rank adds what the rank of the same number has of the use.
[[nodiscard]] std::vector<ArenaSlices> slice_gradient(const ModelLayout& layout, int stage, int ranks);

enum class Reduction {
  exact,  // through the tree: the same bits on any number of ranks
  fast    // leaves are added as they come, then ranks in rank order: one partial sum a rank, bits depend on the number of ranks
};

class GradientTree : public GradientSink {
 public:
  // `comm`: the ranks that hold the stage. Keeps a reference to it.
  GradientTree(const Communicator& comm, const ModelLayout& layout, int stage, Reduction reduction);

  // Begins a step: rank r owns leaves [bounds[r], bounds[r + 1]); the last bound is the number of leaves.
  void start(std::vector<std::int64_t> bounds);

  at::Tensor begin(std::int64_t leaf) override;
  void complete(std::int64_t leaf, at::Tensor gradient) override;

  // This rank's slices of the sum, as slice_gradient(), valid until the next start(). Collective: all ranks of the communicator, those without leaves included.
  [[nodiscard]] std::vector<at::Tensor> reduce();

  [[nodiscard]] const ArenaSlices& slices() const { return slices_.front(); }  // of what the stage trains

 private:
  [[nodiscard]] std::vector<std::vector<TreeNode>> nodes_of_ranks() const;
  void add_topmost();
  void reduce_part(const ArenaSlices& slices, const std::vector<std::vector<TreeNode>>& nodes, std::span<float> received) const;

  const Communicator& comm_;
  std::int64_t elements_;  // of the stage's buffer
  Reduction reduction_;
  std::vector<ArenaSlices> slices_;
  std::vector<std::int64_t> bounds_;
  std::unique_ptr<TreeCounter> counter_;
  std::vector<at::Tensor> partials_;  // as counter_->nodes()
  std::vector<at::Tensor> pool_;      // buffers to use again: first touch of fresh memory is slow
  at::Tensor received_;               // for each part [nodes, own slice], grown as needed
};

// Sums over the leaves of a step, in double, on every rank. `values`: [own leaves, width]. Collective: all ranks.
[[nodiscard]] std::vector<double> reduce_scalars(const Communicator& comm, const std::vector<std::int64_t>& bounds, std::int64_t width,
                                                 const std::vector<double>& values);

}  // namespace tributary
