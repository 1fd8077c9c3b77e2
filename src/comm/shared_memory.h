// Memory that the ranks of a node share, and signals between them that cost no message.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "comm/communicator.h"

namespace tributary {

// What is going to be made of shared memory, and by whom it is told: `bytes` of this rank, 0 of those that another one speaks for. Collective: all ranks of
// `world`; node: those that share memory. Throws: Error{launch}, on all ranks together, with the sum of a node that has no room for it.
void require_shared_memory(const Communicator& world, const Communicator& node, std::size_t bytes, std::string_view purpose);

// Owns: a mapping of a file in the node's memory file system, which loses its name before anybody uses it: nothing is left when a rank is killed.
// (MPI's own windows do not reserve their pages: on a full file system they end in SIGBUS in the middle of a step.) One rank by itself has plain memory.
class SharedMemory {
 public:
  // `purpose`: what it is for, for the refusal. Zeroed, and every page is there when it returns.
  // Collective: all ranks of `node`, which must share memory. Throws: Error{launch} with the size when the file system has no room for it.
  SharedMemory(const Communicator& node, std::size_t bytes, std::string_view purpose);
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Counters of the ranks of a node: each raises its own, all see them. What a rank wrote before it raised one is seen by those that saw it raised.
class NodeSignals {
 public:
  enum Channel : std::size_t { meeting, first_free, channels = 8 };

  // Collective: all ranks of `node`. Keeps a reference to it.
  explicit NodeSignals(const Communicator& node);

  void raise(std::size_t channel, std::int64_t value);                        // never lower than before
  [[nodiscard]] bool reached(std::size_t channel, std::int64_t value) const;  // by every rank
  // Blocks: until every rank has reached it; `meanwhile` is called again and again.
  void wait(std::size_t channel, std::int64_t value, const std::function<void()>& meanwhile = {}) const;
  void meet();  // Blocks: until every rank has called it as often

 private:
  struct alignas(64) Counters {
    std::atomic<std::int64_t> values[channels];
  };
  [[nodiscard]] Counters& of(int rank) const;
  int rank_, ranks_;
  SharedMemory memory_;
  std::int64_t meetings_ = 0;
};

}  // namespace tributary
