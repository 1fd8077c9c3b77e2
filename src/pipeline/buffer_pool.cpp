#include "pipeline/buffer_pool.h"

#include <bit>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "pipeline/host_copy.h"

namespace tributary {
namespace {

constexpr std::size_t least_bytes = 128 * 1024;  // malloc itself keeps what is smaller

// Four sizes between powers of two: leaves of all lengths share a few, and at most a quarter of the memory is not used.
std::size_t with_reserve(std::size_t bytes) {
  const std::size_t step = std::bit_floor(bytes) / 4;
  return (bytes + step - 1) / step * step;
}

}  // namespace

struct BufferPool::Idle {
  std::mutex mutex;
  std::map<std::size_t, std::vector<at::Tensor>> buffers;  // by bytes

  at::Tensor take(std::size_t bytes) {
    {
      const std::lock_guard lock(mutex);
      std::vector<at::Tensor>& fitting = buffers[bytes];
      if (!fitting.empty()) {
        at::Tensor found = std::move(fitting.back());
        fitting.pop_back();
        return found;
      }
    }
    return at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
  }

  void give_back(const at::Tensor& buffer) {
    const std::lock_guard lock(mutex);
    buffers[buffer.nbytes()].push_back(buffer);
  }
};

BufferPool::BufferPool() : idle_(std::make_shared<Idle>()) {}

at::Tensor BufferPool::take(at::IntArrayRef sizes, at::ScalarType type, at::Device device) const {
  std::size_t bytes = c10::elementSize(type);
  for (const std::int64_t size : sizes) bytes *= static_cast<std::size_t>(size);
  if (!device.is_cpu() || bytes < least_bytes) return host_room(sizes, type, device);
  const at::Tensor buffer = idle_->take(with_reserve(bytes));
  return at::from_blob(
      buffer.data_ptr(), sizes, [idle = idle_, buffer](void*) { idle->give_back(buffer); }, at::TensorOptions().dtype(type));
}

std::size_t BufferPool::idle_bytes() const {
  const std::lock_guard lock(idle_->mutex);
  std::size_t sum = 0;
  for (const auto& [bytes, buffers] : idle_->buffers) sum += bytes * buffers.size();
  return sum;
}

}  // namespace tributary
