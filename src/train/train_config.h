// [train], [run] and [checkpoint].
#pragma once

#include "base/fields.h"

namespace tributary {

struct TrainConfig {
  std::int64_t steps = 0;
  std::int64_t epochs = 10;
  std::int64_t seed = 1;
  std::int64_t global_batch = 32;
  std::int64_t micro_batch = 8;
  std::int64_t micro_batch_tokens = 0;
  std::int64_t evaluate_every = 0;
  std::int64_t patience = 10;
  std::string watch = "loss";
  std::int64_t max_skipped = 10;
};

inline Section section_of(TrainConfig& c) {
  return {"train",
          {{"steps", &c.steps, "optimizer steps; 0: train.epochs decides", {}, 0, 1e15},
           {"epochs", &c.epochs, "passes over the training split when train.steps is 0", {}, 1, 1e9},
           {"seed", &c.seed, "keys every random draw", {}, 0, 9e15},
           {"global_batch", &c.global_batch, "records a step over all ranks, a multiple of micro_batch", {}, 1, 1e9},
           {"micro_batch", &c.micro_batch, "records a leaf: the unit of work that is never split", {}, 1, 1e9},
           {"micro_batch_tokens",
            &c.micro_batch_tokens,
            "tokens a leaf: the records of a step are packed into leaves of nearly equal tokens, at most this many; 0: leaves of micro_batch records",
            {},
            0,
            1e9},
           {"evaluate_every", &c.evaluate_every, "steps between validations; 0: once an epoch", {}, 0, 1e15},
           {"patience", &c.patience, "validations without improvement before stopping; 0: never stop early", {}, 0, 1e9},
           {"watch", &c.watch, "what decides the best checkpoint on validation: loss, auroc or auprc (means over tasks)", {"loss", "auroc", "auprc"}},
           {"max_skipped", &c.max_skipped, "steps in a row with a gradient that is not finite before giving up", {}, 0, 1e9}}};
}

struct RunConfig {
  std::string dir = "runs/run";
  std::string max_time;
  std::int64_t watchdog_s = 600;
  std::string ranks = "any";
  std::string device = "cpu";
  bool share_gpu = false;
};

inline Section section_of(RunConfig& c) {
  return {"run",
          {{"dir", &c.dir, "run directory: checkpoints, events.jsonl, run.json"},
           {"max_time", &c.max_time, "save and leave with 75 after this long, e.g. 3h50m, 90s; empty: no limit"},
           {"watchdog_s", &c.watchdog_s, "longest time without progress (own computation included) before all leave with 76", {}, 5, 1e6},
           {"ranks", &c.ranks, "refuse any other number of MPI ranks; any: no check"},
           {"device", &c.device, "what the blocks are computed on; refused at start where it is not there", {"cpu", "cuda"}},
           {"share_gpu", &c.share_gpu, "let ranks of a node share GPUs where there are fewer than ranks: for tests, slow"}}};
}

struct CheckpointConfig {
  std::int64_t every = 0;
  std::int64_t keep = 2;
};

inline Section section_of(CheckpointConfig& c) {
  return {"checkpoint",
          {{"every", &c.every, "steps between checkpoints; 0: at each validation and at the end", {}, 0, 1e15},
           {"keep", &c.keep, "newest checkpoints kept beside the best", {}, 1, 1e6}}};
}

}  // namespace tributary
