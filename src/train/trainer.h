// A run from its settings to its last checkpoint: resume, steps, validation, early stopping, checkpoints, preemption.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "comm/communicator.h"
#include "train/run_settings.h"

namespace tributary {

enum class RunEnd {
  finished,       // all steps done
  stopped_early,  // train.patience validations without improvement
  preempted       // saved after a wish to stop; the exit code is 75
};

struct RunSummary {
  RunEnd end = RunEnd::finished;
  std::int64_t step = 0;
  std::string newest;  // checkpoint directories
  std::string best;
};

struct ResumeChoice {
  std::string mode = "auto";  // auto: the newest complete checkpoint of run.dir, if any; never: run.dir must hold none; else a checkpoint's path
};

// What only the start of the program knows.
struct LaunchFacts {
  Stopwatch started;      // run.max_time counts from here
  std::string job;        // the scheduler's name for this job; may be empty
  bool terminal = false;  // whether a person watches stderr
};

// traced: steps of which run.dir/trace.json is to hold what each rank did when.
// Collective: all ranks. Throws on all ranks together: Error{configuration, data, missing, launch (also when another job has run.dir), cannot_create, io}, and
// Error{numerical} after train.max_skipped steps in a row whose gradient is not finite (step, block and parameter named).
[[nodiscard]] RunSummary train(const Communicator& world, const Log& log, const LoadedSettings& loaded, const ResumeChoice& resume, const LaunchFacts& launch,
                               const std::optional<TraceSteps>& traced = {});

}  // namespace tributary
