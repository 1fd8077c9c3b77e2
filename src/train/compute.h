// What the blocks of a run are computed on and in.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "comm/process_grid.h"
#include "train/run_settings.h"

namespace tributary {

struct Compute {
  at::Device device = at::kCPU;      // where weights, moments and batches of this rank live
  at::ScalarType type = at::kFloat;  // of activations and of the weights that blocks see
  std::string gpu;                   // its name; empty on a CPU
};

// Takes this rank's GPU where run.device = "cuda", and sets the library so that its operators give the same bits each time (numerics.reduction = "exact": those
// that cannot are refused by name when they are met). Collective: all ranks of the grid.
// Throws on all ranks together: Error{launch} when there is no such device, it is shared without run.share_gpu, or the processor has no bfloat16.
[[nodiscard]] Compute prepare_compute(const RunSettings& settings, const ProcessGrid& grid);

[[nodiscard]] at::ScalarType compute_type(const NumericsConfig& config);

// The weights as blocks see them: the tensors themselves where the type is theirs, else rounded copies.
[[nodiscard]] std::vector<at::Tensor> in_type(const std::vector<at::Tensor>& arenas, at::ScalarType type);

[[nodiscard]] std::vector<at::Tensor> on_device(const std::vector<at::Tensor>& tensors, at::Device device);

}  // namespace tributary
