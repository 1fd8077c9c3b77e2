#include "comm/progress_thread.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>

#include "comm/start_thread.h"

namespace tributary {
namespace {

constexpr std::chrono::microseconds shortest{500}, longest{4000}, interval{1000};
constexpr int no_such_tag = 12;  // nobody sends to itself with it: looking for it drives all messages under way

void look_after_messages() {
  int found = 0;
  MPI_Iprobe(0, no_such_tag, MPI_COMM_SELF, &found, MPI_STATUS_IGNORE);
}

}  // namespace

ProgressThread::ProgressThread() : thread_(start_thread("the messages of a rank that computes", [this] { run(); })) {}

ProgressThread::~ProgressThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_one();
  thread_.join();
}

bool ProgressThread::stopped_within(std::chrono::microseconds time) {
  std::unique_lock lock(mutex_);
  return stopping_.wait_for(lock, time, [this] { return stop_; });
}

void ProgressThread::run() {
  auto patience = shortest;
  for (std::uint64_t turn = turn_; !stopped_within(patience); turn = turn_) {
    const bool computes = turn % 2 == 1 && turn_ == turn;
    patience = turn % 2 == 1 && !computes ? std::min(2 * patience, longest) : shortest;
    if (!computes) continue;
    do {
      look_after_messages();
    } while (!stopped_within(interval) && turn_ == turn);
  }
}

}  // namespace tributary
