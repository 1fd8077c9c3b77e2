// [optim] and [numerics].
#pragma once

#include "base/fields.h"

namespace tributary {

struct OptimConfig {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip_norm = 1.0;
  std::int64_t warmup_steps = 0;
  std::string schedule = "cosine";
  double final_fraction = 0;
  std::map<std::string, double> factor;
  bool sharded = true;
};

inline Section section_of(OptimConfig& c) {
  return {"optim",
          {{"learning_rate", &c.learning_rate, "highest learning rate", {}, 0, 1e3},
           {"beta1", &c.beta1, "AdamW first moment", {}, 0, 0.999999},
           {"beta2", &c.beta2, "AdamW second moment", {}, 0, 0.99999999},
           {"epsilon", &c.epsilon, "AdamW epsilon", {}, 1e-20, 1},
           {"weight_decay", &c.weight_decay, "decoupled; not on biases and norms", {}, 0, 1e3},
           {"clip_norm", &c.clip_norm, "largest global gradient norm; 0 = no clipping", {}, 0, 1e9},
           {"warmup_steps", &c.warmup_steps, "linear warm-up", {}, 0, 1e15},
           {"schedule", &c.schedule, "after the warm-up", {"cosine", "constant"}},
           {"final_fraction", &c.final_fraction, "cosine ends at this fraction of learning_rate", {}, 0, 1},
           {"factor", &c.factor, "learning-rate factor by parameter name prefix, e.g. {encoder = 0.1}"},
           {"sharded", &c.sharded, "each data-parallel rank keeps moments of, and updates, its slice of its stages; false: all of them"}}};
}

struct NumericsConfig {
  std::string reduction = "exact";
  std::string precision = "fp32";
  double loss_scale = 65536;
  std::int64_t loss_scale_window = 2000;
};

inline Section section_of(NumericsConfig& c) {
  return {
      "numerics",
      {{"reduction", &c.reduction, "exact: the same bits on any number of ranks; fast: order of sums left to the library", {"exact", "fast"}},
       {"precision",
        &c.precision,
        "what blocks compute in; weights to learn, sums of gradients and moments are float32 always. fp16: on GPUs alone",
        {"fp32", "bf16", "fp16"}},
       {"loss_scale", &c.loss_scale, "fp16: what the loss is multiplied with at first, a power of two; halved after an overflow, never below 1", {}, 1, 1.7e38},
       {"loss_scale_window", &c.loss_scale_window, "fp16: steps without an overflow after which the loss scale is doubled", {}, 1, 1e15}}};
}

}  // namespace tributary
