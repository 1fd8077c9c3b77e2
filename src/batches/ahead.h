// One thread that makes things ahead of their use and hands them over in order through a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace tributary {

// Owns: the thread. next() and stop() are for one consumer thread.
template <class Item>
class Ahead {
 public:
  // `make` runs on the thread until it returns nullopt or throws; at most `depth` finished items wait.
  Ahead(std::size_t depth, std::function<std::optional<Item>()> make) : depth_(depth < 1 ? 1 : depth), thread_([this, make = std::move(make)] { run(make); }) {}
  ~Ahead() { stop(); }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  // The next item in order; nullopt when there are no more. Throws: what `make` threw, after the items before it, and again at every later call.
  [[nodiscard]] std::optional<Item> next() {
    const Stopwatch watch;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !items_.empty() || done_; });
    waited_s_ += watch.elapsed_s();
    if (items_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return std::nullopt;
    }
    Item item = std::move(items_.front());
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  // Ends the thread after the item it is making; waiting items are dropped. May be called twice.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      items_.clear();
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] double waited_s() const { return waited_s_; }  // spent in next() so far: what the consumer lost to input

 private:
  void run(const std::function<std::optional<Item>()>& make) {
    std::exception_ptr failure;
    try {
      for (;;) {
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [&] { return stopping_ || items_.size() < depth_; });
          if (stopping_) break;
        }
        std::optional<Item> item = make();
        if (!item) break;
        const std::lock_guard lock(mutex_);
        if (!stopping_) items_.push_back(std::move(*item));
        changed_.notify_all();
      }
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    done_ = true;
    changed_.notify_all();
  }

  std::size_t depth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::exception_ptr failure_;
  bool done_ = false;
  bool stopping_ = false;
  double waited_s_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tributary
