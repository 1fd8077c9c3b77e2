// Where a model is cut, and what a step over the cut is expected to take. The numbers of a run do not depend on it; its speed and memory do.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "batches/batch_plan.h"
#include "comm/process_grid.h"
#include "optim/reducer_choice.h"
#include "schedule/recompute.h"
#include "schedule/timeline.h"
#include "train/compute.h"
#include "train/data_set.h"
#include "train/parallel.h"
#include "train/run_costs.h"
#include "train/run_settings.h"

namespace tributary {

struct PlanQuestion {
  const RunSettings& settings;
  const BlockList& model;
  std::vector<BlockCost> costs;
  int data_ranks = 1;
  std::set<std::int64_t> steps = {1};                   // leaves of a step, over all pipelines: every number that occurs
  ReducerChoice sums = {};                              // teams of data_ranks ranks; without teams nothing is summed
  [[nodiscard]] std::set<std::int64_t> leaves() const;  // of a pipeline in a step: every number that occurs
  [[nodiscard]] std::int64_t most_leaves() const { return *leaves().rbegin(); }
};

// Leaves of the steps that a plan looks at: one of full shape, with a budget of tokens the first few, whose numbers differ; and the last of the first epoch,
// where the run comes to it. Pure. There are training records.
[[nodiscard]] std::set<std::int64_t> leaves_of_steps(const BatchPlan& plan, const TrainConfig& train);

struct ModelCut {
  Cut first_blocks = {0};
  std::vector<bool> recompute;  // [blocks]
};

// The cut of a run: that given by parallel.partition, or the best one; without pipeline the model in one piece. And the blocks that parallel.recompute names,
// or as few as parallel.memory_limit needs. Where costs decide, rank 0 measures them and tells the others; `alive` is called meanwhile, on every rank.
// An evaluation has records. Collective: all ranks of the grid.
// Throws on all ranks together: Error{data} for a training without records; as measure_run() and plan_stages().
[[nodiscard]] ModelCut cut_for(const ProcessGrid& grid, const Log& log, const RunSettings& settings, const Compute& compute, const DataSet& data,
                               Workload workload, const std::function<void()>& alive = {});

// What a rank holds for each byte of its weights, from the precision, optim.sharded, and the most partial sums that the steps make. Pure.
[[nodiscard]] StateFactors state_factors(const PlanQuestion& question);

// The given cut (parallel.partition), or the best one for the costs; which blocks are recomputed. Throws: Error{configuration}; Error{launch} where the memory
// does not do.
[[nodiscard]] StagePlan plan_stages(const PlanQuestion& question);

// What a step takes over these stages, message by message, for a pipeline of the most leaves.
[[nodiscard]] Timeline plan_timeline(const PlanQuestion& question, const Partition& partition);

// What parallel.recompute = "auto" came to, in words.
[[nodiscard]] std::string automatic_choice(const PlanQuestion& question, const std::vector<bool>& recompute);

}  // namespace tributary
