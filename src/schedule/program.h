// A rank's schedule as the operations that the engine executes: what to compute, and when to post, await and send messages. Pure.
//
// Two stages side by side on different ranks exchange one message a leaf in each direction: all named tensors that cross the cut there (forward), and their
// gradients. Between two ranks there are up to four channels: (from, to, forward or gradient). On each, receives are posted in the order of the sends.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schedule/schedule.h"

namespace tributary {

enum class Traffic { forward, gradient };

struct Message {
  Traffic traffic = Traffic::forward;
  std::int64_t leaf = 0;
  int from_stage = 0;  // forward: to_stage - 1; gradient: to_stage + 1
  int to_stage = 0;
  bool operator==(const Message&) const = default;
};

struct Op {
  enum class Kind {
    post_receive,  // a buffer for `message` from `peer`; never waits
    wait_receive,  // until `message` has arrived; the buffer becomes the input of the next compute
    compute,       // `action`
    send           // `message`, which the compute before has made, to `peer`
  };
  Kind kind = Kind::compute;
  Action action = {};    // of compute
  Message message = {};  // of the others
  int peer = -1;         // of the others
  bool operator==(const Op&) const = default;
};

using Program = std::vector<Op>;  // of one rank

// Receives that a channel has posted and not yet awaited: the buffers it needs. With so many no order of this library stands still, even when a send waits
// until its receive has been posted. One is enough for each kind's own order, because the next receive is posted before the compute that uses the last one.
inline constexpr int receives_ahead = 2;

// Deterministic. Throws: Error{internal} when `ahead` buffers are too few to await messages in another order than they are sent in.
[[nodiscard]] Program program_of(const StepSchedule& step, int rank, int ahead = receives_ahead);

// "post F2 0>1 from 0", "send G2 1>0 to 0", ...
[[nodiscard]] std::string to_string(const Op& op);

// The same in words: "receive the activations of leaf 7 from stage 0 (rank 4)". first_leaf: number in the step of this pipeline's leaf 0; rank_of_place: the
// job's rank at each place of the pipeline.
[[nodiscard]] std::string in_words(const Op& op, std::int64_t first_leaf, std::span<const int> rank_of_place);

}  // namespace tributary
