// Messages that go on while this rank computes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace tributary {

// A thread that looks after MPI's messages while its owner computes and makes hardly a call of MPI. Where neither side of a long message can read the other's
// memory (containers with user namespaces, TCP), MPI moves it in pieces, each inside a call on both sides: a rank that computes for 100 ms would keep its
// neighbour waiting as long for each of them. Short computations are left alone: the thread looks once one has lasted about 1 ms, and every millisecond from
// then on; while they stay shorter it wakes up less and less, up to every 4 ms. Needs MPI_THREAD_MULTIPLE; touches no communicator but MPI_COMM_SELF. Errors of
// its look are left to the wait for the message, which has them too.
class ProgressThread {
 public:
  // Held while the owner computes.
  class Computing {
   public:
    explicit Computing(ProgressThread* thread) : thread_(thread) { turn(); }  // null: messages are left to the owner
    ~Computing() { turn(); }
    Computing(const Computing&) = delete;
    Computing& operator=(const Computing&) = delete;

   private:
    void turn() const {
      if (thread_ != nullptr) thread_->turn_.fetch_add(1, std::memory_order_relaxed);
    }
    ProgressThread* thread_;
  };

  ProgressThread();   // throws: Error{launch} when the machine gives no thread
  ~ProgressThread();  // joins it
  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;

 private:
  void run();
  [[nodiscard]] bool stopped_within(std::chrono::microseconds time);

  std::atomic<std::uint64_t> turn_ = 0;  // odd while the owner computes
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace tributary
