// Ways to run one training step over the same leaves, for benchmarks that run them in turn.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "batches/batch.h"
#include "comm/communicator.h"
#include "model/block.h"

namespace tributary {

struct StepInput {
  std::int64_t number = 0;
  const std::vector<Batch>& leaves;  // of all ranks: each takes its own
  std::int64_t windows = 0;          // of all leaves
};

// Units: s. Of this rank, one after the other.
struct StepTimes {
  double start_s = 0;    // the sum begins
  double compute_s = 0;  // forward and backward; sums go on beside it
  double reduce_s = 0;   // the sum ends; norm
  double update_s = 0;   // optimizer, weights back to everybody
  double loss = 0;       // of this rank's leaves
  [[nodiscard]] double total_s() const { return start_s + compute_s + reduce_s + update_s; }
};

class Step {
 public:
  virtual ~Step() = default;
  virtual StepTimes run(const StepInput& input) = 0;
};

// exact, fast: data-parallel over all ranks of `world`, the trainer's engine, reducer and optimizer.
// gpipe, 1f1b, zb_h1: the model cut over all ranks, `first_blocks` as Cut.
// local: as exact without any message: the rank's own leaves, its own sum of them, the update of its share of the parameters alone.
// alone: a copy by itself: the rank's own leaves, its own sum of them, the update of all parameters.
// Keeps a reference to the model. Collective: all ranks of `world`.
[[nodiscard]] std::unique_ptr<Step> make_step(const std::string& name, const Communicator& world, const BlockList& model,
                                              const std::vector<std::size_t>& first_blocks);

}  // namespace tributary
