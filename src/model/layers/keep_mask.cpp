#include "model/layers/keep_mask.h"

#include <ATen/core/Generator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/layers/philox_lanes.h"
#include "model/layers/vectorised.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t block = philox_block;  // elements decided at a time

// keep[i] = draw i >= threshold: element i is word i % 4 of philox(key, i / 4). Room for count rounded up to `block`.
TRIBUTARY_VECTORISED void draw_mask(const Key& key, std::uint32_t threshold, std::int64_t count, std::uint8_t* keep) {
  for (std::int64_t i = 0; i < count; i += block) {
    std::uint32_t words[philox_block];
    philox_lanes(key, static_cast<std::uint64_t>(i / 4), words);
    for (int j = 0; j < philox_block; ++j) keep[i + j] = words[j] >= threshold;
  }
}

at::Tensor host_mask(at::IntArrayRef sizes, double p, const Key& key) {
  const std::int64_t count = c10::multiply_integers(sizes), room = (count + block - 1) / block * block;
  at::Tensor keep = at::empty({room}, at::kByte);
  const auto threshold = static_cast<std::uint32_t>(std::min(std::llround(p * 0x1p32), (1LL << 32) - 1));
  draw_mask(key, threshold, count, keep.data_ptr<std::uint8_t>());
  return keep.narrow(0, 0, count).view(at::kBool).view(sizes);
}

at::Tensor device_mask(at::IntArrayRef sizes, double p, const Key& key, at::Device device) {
  at::Generator generator = at::detail::getCUDAHooks().getNewGenerator(device.index());
  const auto words = philox(key, 0);
  generator.set_current_seed((static_cast<std::uint64_t>(words[1]) << 32) | words[0]);
  return at::empty(sizes, at::TensorOptions().dtype(at::kBool).device(device)).bernoulli_(1 - p, generator);
}

}  // namespace

at::Tensor keep_mask(at::IntArrayRef sizes, double p, const Key& key, at::Device device) {
  check(p >= 0 && p < 1, "keep_mask: probability {} is not in [0, 1)", p);
  if (device.is_cpu()) return host_mask(sizes, p, key);
  check(device.is_cuda(), "keep_mask: dropout is drawn on the CPU and on CUDA devices");
  return device_mask(sizes, p, key, device);
}

}  // namespace tributary::ops
