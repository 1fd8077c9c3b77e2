#include "train/stop_request.h"

namespace tributary {
namespace {

volatile std::sig_atomic_t signalled = 0;  // a handler may touch nothing else

void note_signal(int) { signalled = 1; }

}  // namespace

StopRequest::StopRequest(std::optional<double> limit_s, const Stopwatch& started) : limit_s_(limit_s), watch_(started) {
  signalled = 0;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;  // reads and writes under way go on
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals_.size(); ++i) sigaction(signals_[i], &action, &former_[i]);
}

StopRequest::~StopRequest() {
  for (std::size_t i = 0; i < signals_.size(); ++i) sigaction(signals_[i], &former_[i], nullptr);
}

bool StopRequest::pending() const { return signalled != 0 || (limit_s_ && watch_.elapsed_s() >= *limit_s_); }

}  // namespace tributary
