// Time and memory of every stage that a cut could make, as tables over (first block, last block). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "schedule/partition.h"

namespace tributary {

class StageCosts {
 public:
  // Keeps a reference. O(blocks^2). Throws: Error{internal} for a problem whose parts do not fit together.
  explicit StageCosts(const PartitionProblem& problem);

  [[nodiscard]] std::size_t blocks() const { return blocks_; }
  [[nodiscard]] std::size_t stages() const { return problem_.rank_of_stage.size(); }
  [[nodiscard]] int rank(std::size_t stage) const { return problem_.rank_of_stage[stage]; }
  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] std::int64_t search_steps() const { return problem_.search_steps; }
  [[nodiscard]] bool several_chunks() const { return stages() > static_cast<std::size_t>(ranks_); }

  // Blocks [first, last) without messages.
  [[nodiscard]] double work_s(std::size_t first, std::size_t last) const { return work_s_[first * (blocks_ + 1) + last]; }
  // With its messages; `from_left`, `to_right`: the neighbour exists and is another rank.
  [[nodiscard]] double time_s(std::size_t first, std::size_t last, bool from_left, bool to_right) const {
    return work_s(first, last) + send_s(first, last, from_left, to_right);
  }
  [[nodiscard]] double send_s(std::size_t first, std::size_t last, bool from_left, bool to_right) const {
    return (to_right ? boundaries_[last].forward_s : 0) + (from_left ? boundaries_[first].gradient_s : 0);
  }
  // As stage number `stage`.
  [[nodiscard]] double stage_s(std::size_t stage, std::size_t first, std::size_t last) const { return time_s(first, last, enters(stage), enters(stage + 1)); }
  // Never less for more blocks.
  [[nodiscard]] std::int64_t stage_bytes(std::size_t stage, std::size_t first, std::size_t last) const {
    return state_bytes_[first * (blocks_ + 1) + last] + activation_bytes(stage, first, last);
  }
  [[nodiscard]] MemoryNeed stage_memory(std::size_t stage, std::size_t first, std::size_t last) const;
  // Of the boundary in front of `block`, were it between ranks.
  [[nodiscard]] const BoundaryPrice& boundary(std::size_t block) const { return boundaries_[block]; }
  // Messages come to `stage` from the one before.
  [[nodiscard]] bool enters(std::size_t stage) const { return stage > 0 && stage < stages() && rank(stage - 1) != rank(stage); }

 private:
  struct Uses {  // of parameters, in bytes of weights, by the blocks [first, last)
    std::int64_t weights = 0;
    std::int64_t trained = 0;  // each use
    std::int64_t owned = 0;    // the first use in the model
  };
  void add_uses(std::size_t first, std::size_t block, Uses& sum) const;  // of `block`, to those of [first, block)
  [[nodiscard]] MemoryNeed state(const Uses& uses) const;
  [[nodiscard]] std::int64_t activation_bytes(std::size_t stage, std::size_t first, std::size_t last) const;
  void check_problem() const;
  void number_parameters();
  void price_boundaries();
  void fill_tables();

  struct Use {
    std::int64_t bytes = 0;
    bool trained = false;
    std::size_t before = 0;  // 1 + the last block before this one that uses the parameter; 0: none
  };
  const PartitionProblem& problem_;
  std::size_t blocks_;
  int ranks_ = 0;
  std::vector<std::vector<Use>> uses_;     // [blocks]
  std::vector<BoundaryPrice> boundaries_;  // [blocks + 1]; none in front of the first and behind the last
  std::vector<std::int64_t> activations_;  // [blocks + 1] of all blocks before
  std::vector<double> work_s_;             // [blocks + 1, blocks + 1]
  std::vector<std::int64_t> state_bytes_;  // [blocks + 1, blocks + 1]
  std::vector<std::int64_t> transient_;    // [blocks + 1, blocks + 1] the largest of the blocks
};

}  // namespace tributary
