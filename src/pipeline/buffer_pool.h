// Memory for messages that is used again. What malloc gives for a large tensor are fresh pages each time, which cost as much as the copy into them.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <memory>

namespace tributary {

class BufferPool {
 public:
  BufferPool();

  // Room in host memory, uninitialised, for what comes from another rank and is meant for `device`. Its memory is the pool's again when the last tensor that
  // uses it is gone, in whatever thread, also after the pool itself. Beside a GPU it is page-locked, and LibTorch keeps it for the next.
  [[nodiscard]] at::Tensor take(at::IntArrayRef sizes, at::ScalarType type, at::Device device) const;

  [[nodiscard]] std::size_t idle_bytes() const;  // that nobody uses now

 private:
  struct Idle;
  std::shared_ptr<Idle> idle_;
};

}  // namespace tributary
