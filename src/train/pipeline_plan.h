// Where a model is cut, and what a step over the cut is expected to take. The numbers of a run do not depend on it; its speed and memory do.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "comm/process_grid.h"
#include "schedule/recompute.h"
#include "schedule/timeline.h"
#include "train/block_costs.h"
#include "train/compute.h"
#include "train/data_set.h"
#include "train/parallel.h"
#include "train/run_settings.h"

namespace tributary {

// The blocks' costs on the first leaves of a run, measured on this rank. No communication. Throws: Error{data, io, missing}.
[[nodiscard]] std::vector<BlockCost> measure_run(const RunSettings& settings, const Compute& compute, const DataSet& data);

struct PlanQuestion {
  const RunSettings& settings;
  const BlockList& model;
  std::vector<BlockCost> costs;
  int data_ranks = 1;
  std::int64_t leaves = 1;  // of a pipeline in a step
};

struct ModelCut {
  Cut first_blocks = {0};
  std::vector<bool> recompute;  // [blocks]
};

// The cut of a run: that given by parallel.partition, or the best one; without pipeline the model in one piece. And the blocks that parallel.recompute names,
// or as few as parallel.memory_limit needs. Where costs decide, rank 0 measures them and tells the others. Collective: all ranks. Throws on all ranks together:
// as measure_run() and plan_stages().
[[nodiscard]] ModelCut cut_for(const Communicator& world, const Log& log, const RunSettings& settings, const Compute& compute, const DataSet& data,
                               const GridShape& grid);

// The given cut (parallel.partition), or the best one for the costs; which blocks are recomputed. Throws: Error{configuration}; Error{launch} where the memory
// does not do.
[[nodiscard]] StagePlan plan_stages(const PlanQuestion& question);

// What a step takes over these stages, message by message.
[[nodiscard]] Timeline plan_timeline(const PlanQuestion& question, const Partition& partition);

// What `tributary plan` prints: blocks, stages, ranks, the step.
[[nodiscard]] std::string plan_report(const PlanQuestion& question, const StagePlan& plan, const Timeline& timeline);

// SVG.
[[nodiscard]] std::string plan_picture(const PlanQuestion& question, const Timeline& timeline);

}  // namespace tributary
