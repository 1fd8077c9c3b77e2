#include "comm/lone_work.h"

#include <cstddef>
#include <exception>
#include <span>

#include "base/clock.h"
#include "comm/agree.h"

namespace tributary {

void work_alone(const Communicator& comm, const std::function<void()>& alive, const std::function<void(const std::function<void()>& part_done)>& work) {
  constexpr std::byte done{0}, goes_on{1};
  const auto told = [&](std::byte word) {
    comm.broadcast(std::span(&word, 1), 0);
    return word;
  };
  std::exception_ptr failure;
  if (comm.rank() == 0) {
    Stopwatch silence;
    try {
      work([&] {
        if (alive) alive();
        if (silence.elapsed_s() < 0.5) return;
        static_cast<void>(told(goes_on));
        silence = {};
      });
    } catch (...) {
      failure = std::current_exception();
    }
    static_cast<void>(told(done));
  } else {
    while (told(done) == goes_on)
      if (alive) alive();
  }
  agree(comm, failure);
}

}  // namespace tributary
