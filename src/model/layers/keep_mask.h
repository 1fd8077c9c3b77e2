// Which elements dropout keeps: a pure function of the key, on any device. The one place where random numbers are drawn on a device.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "base/key.h"

namespace tributary::ops {

// Bool, contiguous: true with probability 1 - p. In host memory element i is decided by word i % 4 of philox(key, i / 4), the same on every processor.
// On a device by the device's own generator, made for the call and seeded by the key: the same for every run on one kind of device.
[[nodiscard]] at::Tensor keep_mask(at::IntArrayRef sizes, double p, const Key& key, at::Device device);

}  // namespace tributary::ops
