// How a rank waits for what another rank or the network does.
#pragma once

#include <sched.h>

#include <chrono>
#include <thread>

namespace tributary {

// One for each wait; pause() is called between two looks at what is waited for. Spinning answers in well under a microsecond; since ranks may outnumber cores
// and share them with readers, the processor is soon offered to others, and given away in waits that are long: those of a pipeline's warm-up, or for a slow
// rank.
class Patience {
 public:
  void pause() {
    if (turn_ >= 2000)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    else if (++turn_ > 100)
      ::sched_yield();
  }

 private:
  int turn_ = 0;
};

}  // namespace tributary
