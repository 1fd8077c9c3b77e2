// [parallel].
#pragma once

#include "base/fields.h"
#include "schedule/schedule.h"

namespace tributary {

struct ParallelConfig {
  std::string data = "auto";
  std::int64_t pipeline = 1;
  std::int64_t virtual_stages = 1;
  std::string schedule = "1f1b";
  std::vector<std::int64_t> partition;
  std::vector<std::string> recompute;
  double memory_limit = 0;
  std::string reducer = "auto";
};

inline Section section_of(ParallelConfig& c) {
  return {"parallel",
          {{"data", &c.data, "copies of the model; auto: ranks / parallel.pipeline"},
           {"pipeline", &c.pipeline, "ranks that one copy of the model is cut over", {}, 1, 1e6},
           {"virtual_stages", &c.virtual_stages, "stages a rank of a pipeline; more than 1 for the schedules interleaved and zb_v", {}, 1, 1e6},
           {"schedule", &c.schedule, "the order in which a pipeline runs the leaves of a step", schedule_names()},
           {"partition", &c.partition, "blocks of each stage, first stage first; auto: the best cut for the blocks' measured costs", {}, 1, 1e6, "auto"},
           {"recompute",
            &c.recompute,
            "blocks (or all) whose forward is run again in backward in place of keeping what it made; auto: as few as parallel.memory_limit needs",
            {},
            0,
            0,
            "none"},
           {"memory_limit",
            &c.memory_limit,
            "GiB a rank of a pipeline may need for weights, gradients, optimizer and activations; the cut keeps to it, and recompute = \"auto\"; 0: no limit",
            {},
            0,
            1e6},
           {"reducer",
            &c.reducer,
            "what sums gradients over ranks: window (shared memory inside a node, MPI between nodes), mpi, nccl (GPUs); auto: chosen, and told at start",
            {"auto", "mpi", "window", "nccl"}}}};
}

}  // namespace tributary
