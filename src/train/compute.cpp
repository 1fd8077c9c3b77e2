#include "train/compute.h"

#include "base/error.h"
#include "base/processor.h"
#include "comm/agree.h"
#include "comm/gpu.h"

namespace tributary {
namespace {

void require_bfloat16() {
  if (!processor_has_bfloat16())
    fail(
        ErrorKind::launch,
        "numerics.precision = \"bf16\" on a CPU needs one with AVX512_BF16 or AMX, this one has neither and would take a hundred times as long; take \"fp32\", "
        "or run.device = \"cuda\"");
}

// Of this process: an operator that has no deterministic form throws, and half-precision sums are formed in float32.
void make_deterministic(bool exact) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(exact, false);
  context.setDeterministicFillUninitializedMemory(false);  // every tensor that is read was written
  context.setDeterministicCuDNN(exact);
  context.setBenchmarkCuDNN(false);
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  context.setAllowFP16ReductionCuBLAS(false);
  context.setAllowBF16ReductionCuBLAS(false);
}

}  // namespace

at::ScalarType compute_type(const NumericsConfig& config) {
  if (config.precision == "bf16") return at::kBFloat16;
  return config.precision == "fp16" ? at::kHalf : at::kFloat;
}

Compute prepare_compute(const RunSettings& settings, const ProcessGrid& grid) {
  Compute compute{at::kCPU, compute_type(settings.numerics), {}};
  if (settings.run.device == "cpu") {
    agreed(grid.world(), [&] {
      if (compute.type == at::kBFloat16) require_bfloat16();
    });
    return compute;
  }
  const GpuSupport support = agreed(grid.world(), [] {
    GpuSupport found = gpu_support();
    require_gpu(found);
    return found;
  });
  agreed(grid.world(), [&] {
    const int number = choose_gpu(grid.node(), support, settings.run.share_gpu);
    use_gpu(number);
    make_deterministic(settings.numerics.reduction == "exact");
    compute.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(number));
    compute.gpu = support.devices[static_cast<std::size_t>(number)].description;
  });
  return compute;
}

std::vector<at::Tensor> in_type(const std::vector<at::Tensor>& arenas, at::ScalarType type) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& arena : arenas) result.push_back(arena.to(type));
  return result;
}

std::vector<at::Tensor> on_device(const std::vector<at::Tensor>& tensors, at::Device device) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) result.push_back(tensor.to(device));
  return result;
}

}  // namespace tributary
