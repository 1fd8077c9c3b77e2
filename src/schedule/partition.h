// Which blocks each stage of a pipeline gets, what a given cut costs, and what its ranks hold. Pure: from measured costs of blocks to a value.
//
// The best cut is the one whose slowest stage is the fastest, under a limit on the memory of a rank. A stage's time is that of one leaf: forward, both parts of
// backward, and the messages it sends (the tensors to the next stage, the gradients to the one before).
// The slowest stage is the right measure for one chunk a rank, where it is the slowest rank, and for several. A schedule is a system of "not before": no action
// begins later when another one gets shorter. So, where forward and backward share a stage's time alike, a step never takes longer than the schedule's formula
// says for stages that all cost as much as the slowest, and of all cuts this one promises most. The sum over the chunks of a rank would promise nothing: ranks
// with chunks of (1, 3) and (3, 1) have equal sums and yet can wait for each other in every round of an interleaved schedule.
// Of several cuts with the same slowest stage the chosen one gives each stage, from the first on, as nearly as it can an even share of the blocks' time that is
// left; of two equally near shares the smaller. (Leaves are of unequal length: where the slowest stage leaves freedom, even stages wait less. Blocks that are
// longer than the share by themselves are left out of it, with a stage each, or one long block at the end would undo the evenness of all others.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "schedule/graph.h"

namespace tributary {

struct BlockCost {  // of one leaf
  double forward_s = 0;
  double backward_input_s = 0;
  double backward_weight_s = 0;
  std::int64_t activation_bytes = 0;           // kept from forward to the end of backward, what the block gives included
  std::vector<std::int64_t> gives_bytes = {};  // [GraphBlock::gives]; a gradient has the size of its tensor
  std::int64_t transient_bytes = 0;            // held once, while its backward runs
};

// Bytes for each byte of the weights. Gradients, partial sums and what is received are held for each use of a trained parameter, optimizer state by the stage
// of its first use.
struct StateFactors {
  double gradients = 1;
  double partial_sums = 0;  // exact reduction: how many partial sums a rank holds at most beside the first, at the size of a gradient each
  double optimizer = 2;     // on all data ranks together, which share it evenly
  int data_ranks = 1;
  double rounded = 0;   // of all weights: the copy in half precision that the blocks compute with
  double received = 0;  // of the gradients: room for partial sums that other ranks send
};

struct Link {
  double bytes_per_s = std::numeric_limits<double>::infinity();
  double latency_s = 0;  // of a message; all tensors that cross a boundary for a leaf are one
};

struct PartitionProblem {
  ModelGraph graph;
  std::vector<BlockCost> blocks;                        // [graph.blocks]
  std::map<std::string, std::int64_t> parameter_bytes;  // the weights, as the blocks use them
  StateFactors state;
  std::vector<int> rank_of_stage;  // [stages]: between neighbours on one rank nothing is sent
  std::vector<std::int64_t> live;  // [stages] leaves whose activations the stage holds at most at once
  Link link;
  std::int64_t memory_limit_bytes = 0;  // of a rank; 0: none
  std::int64_t search_steps = 100'000;  // choose_partition() gives up a length after so many
};

// Units: bytes.
struct MemoryNeed {
  std::int64_t weights = 0;  // a shared parameter counts in every stage that uses it, also where two of them sit on one rank
  std::int64_t gradients = 0;
  std::int64_t partial_sums = 0;
  std::int64_t optimizer = 0;
  std::int64_t activations = 0;  // live leaves * (activations of the blocks + what came from another rank) + the largest of the blocks' transient bytes;
                                 // tensors on their way between stages are not counted
  std::int64_t rounded = 0;      // copies of the weights in the type that the blocks compute in
  std::int64_t received = 0;     // partial sums of other ranks
  [[nodiscard]] std::int64_t total() const { return weights + gradients + partial_sums + optimizer + activations + rounded + received; }
  MemoryNeed& operator+=(const MemoryNeed& other);
  bool operator==(const MemoryNeed&) const = default;
};

struct StagePrice {                 // of one leaf
  std::size_t first = 0, last = 0;  // blocks [first, last)
  int rank = 0;
  double forward_s = 0;
  double backward_input_s = 0;
  double backward_weight_s = 0;
  double send_s = 0;
  double total_s = 0;
  MemoryNeed memory;
};

struct BoundaryPrice {  // between stage s and s + 1, of one leaf; all zero where both sit on one rank
  std::int64_t forward_bytes = 0;
  std::int64_t gradient_bytes = 0;
  double forward_s = 0;
  double gradient_s = 0;
};

struct Partition {
  Cut cut;
  std::vector<StagePrice> stages;
  std::vector<BoundaryPrice> boundaries;  // [stages - 1]
  std::vector<MemoryNeed> ranks;
  double slowest_s = 0;         // the largest StagePrice::total_s
  int slowest_stage = 0;        // the first with it
  std::int64_t most_bytes = 0;  // the largest need of a rank
  bool proven = true;  // no cut within the limit has a faster slowest stage. False only where several chunks a rank met a tight limit: see choose_partition()
};

// What a cut costs; memory is not held against the limit. Throws: Error{configuration} as check_cut() and for another number of stages than rank_of_stage has;
// Error{internal} for a problem whose parts do not fit together.
[[nodiscard]] Partition price_partition(const PartitionProblem& problem, const Cut& cut);

// The best cut. With one chunk a rank exact, in O(stages * blocks^2 * log(blocks)): stages of one length limit and one memory limit are a reachability over cut
// points, and the limit is searched among the lengths that occur. With several chunks a rank that share a memory limit the problem is a packing problem
// (NP-hard): the same search then walks back where a rank overflows, guided by exact bounds. It proves its answer or, after search_steps steps for one
// length, goes on with a longer one and says so in Partition::proven; what it returns always keeps the limit.
// Throws: Error{launch} when no cut keeps the memory limit, with the smallest need of any cut (to a thousandth; where the search was given up, the smallest
// found) and the knobs; Error{configuration} and Error{internal} as price_partition().
[[nodiscard]] Partition choose_partition(const PartitionProblem& problem);

// Throws: Error{launch} when a rank needs more than the limit, with the rank and the knobs.
void check_memory(const PartitionProblem& problem, const Partition& partition);

}  // namespace tributary
