// One optimizer step over all ranks: the path of a batch from plan to StepRecord.
#pragma once

#include <exception>
#include <map>
#include <string>
#include <vector>

#include "base/trace.h"
#include "batches/prefetcher.h"
#include "checkpoint/train_state.h"
#include "comm/watchdog.h"
#include "optim/gradient_reducer.h"
#include "train/network.h"
#include "train/parallel.h"
#include "train/step_record.h"

namespace tributary {

// Everything a step reads. Keeps references.
struct StepTools {
  const Parallel& parallel;
  const Network& network;
  GradientReducer& reducer;
  Prefetcher& batches;
  const OptimConfig& optim;
  const NumericsConfig& numerics;
  const std::map<std::string, double>& task_weights;  // HeadsConfig::weight
  Watchdog& watchdog;
  std::uint64_t seed = 0;
  std::int64_t total_steps = 0;  // at which the learning-rate schedule ends
  Trace* trace = nullptr;        // as the engine's and the reducer's; null: none
};

// What a step changes.
struct Training {
  TrainState state;                    // cursor and counters: the same on every rank
  std::vector<at::Tensor> parameters;  // the arena of each stage of this rank, whole on every rank that holds the stage; float32, on its device
  std::vector<AdamState> adam;         // moments of what this rank updates of each
};

// What this rank has to tell the others before the step; it rides in the sum of label counts.
struct News {
  bool stop_wanted = false;
  std::exception_ptr failure;  // since the step before, such as a log that could not be written
};

struct Pace {  // of this rank in the step before
  double busy_s = 0;
  double seconds = 0;
};

// Advances `run` by one step; a step whose gradient is not finite moves the cursor only. `pace` is replaced by that of this step.
// Collective: all ranks. Throws on all ranks together: Error{data, io, missing} of the input, and the failure in the news.
[[nodiscard]] StepRecord train_step(const StepTools& tools, Training& run, const News& news, Pace& pace);

// Throws: Error{numerical}, on all ranks together, when the step was the last of max_skipped in a row whose gradient is not finite: step, block, parameter,
// and the leaves with their ranks are named.
void give_up_when_stuck(const StepRecord& record, const TrainState& state, std::int64_t max_skipped);

// The last block, counted in the order of forward, that has a parameter in one of these arena blocks, and that parameter: "block 'lstm.1' (lstm.1.fc.weight)".
[[nodiscard]] std::string first_bad_part(const BlockList& model, const ParameterLayout& layout, const std::vector<std::int64_t>& bad_blocks);

}  // namespace tributary
