#include "schedule/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"

namespace tributary {
namespace {

int owner(const StepSchedule& step, int stage) { return step.rank_of_stage[static_cast<std::size_t>(stage)]; }

// What an action takes from another rank, or what it makes for one.
std::optional<Message> crossing(const StepSchedule& step, const Action& action, bool incoming) {
  const bool forward = action.kind == ActionKind::forward;
  if (!forward && !carries_gradient(action.kind)) return std::nullopt;
  const int other = forward == incoming ? action.stage - 1 : action.stage + 1;
  if (other < 0 || other >= step.stages() || owner(step, other) == owner(step, action.stage)) return std::nullopt;
  return Message{forward ? Traffic::forward : Traffic::gradient, action.leaf, incoming ? other : action.stage, incoming ? action.stage : other};
}

// The messages of one channel into this rank, in the order of the sends.
struct Incoming {
  int peer = 0;
  Traffic traffic = Traffic::forward;
  std::vector<Message> messages;
  std::vector<bool> awaited;  // of those posted
  std::size_t first = 0;      // all before it are awaited
  int waiting = 0;            // posted and not awaited
};

class ProgramMaker {
 public:
  ProgramMaker(const StepSchedule& step, int rank, int ahead) : step_(step), rank_(rank), ahead_(ahead) {
    for (int stage = 0; stage < step.stages(); ++stage) {
      if (owner(step, stage) != rank) continue;
      if (stage > 0) add_channel(owner(step, stage - 1), Traffic::forward);
      if (step.training && stage + 1 < step.stages()) add_channel(owner(step, stage + 1), Traffic::gradient);
    }
    for (Incoming& channel : incoming_)
      for (const Action& action : step.ranks[static_cast<std::size_t>(channel.peer)]) {
        const auto message = crossing(step, action, false);
        if (message && message->traffic == channel.traffic && owner(step, message->to_stage) == rank) channel.messages.push_back(*message);
      }
  }

  Program make() {
    for (Incoming& channel : incoming_) post(channel);
    for (const Action& action : step_.ranks[static_cast<std::size_t>(rank_)]) {
      if (const auto message = crossing(step_, action, true)) await(*message);
      program_.push_back({Op::Kind::compute, action, {}, -1});
      if (const auto message = crossing(step_, action, false)) program_.push_back({Op::Kind::send, {}, *message, owner(step_, message->to_stage)});
    }
    return std::move(program_);
  }

 private:
  [[nodiscard]] auto find_channel(int peer, Traffic traffic) {
    return std::find_if(incoming_.begin(), incoming_.end(), [&](const Incoming& i) { return i.peer == peer && i.traffic == traffic; });
  }
  void add_channel(int peer, Traffic traffic) {
    if (peer != rank_ && find_channel(peer, traffic) == incoming_.end()) incoming_.push_back({peer, traffic, {}, {}, 0, 0});
  }

  void post(Incoming& channel) {
    for (; channel.waiting < ahead_ && channel.awaited.size() < channel.messages.size(); ++channel.waiting) {
      program_.push_back({Op::Kind::post_receive, {}, channel.messages[channel.awaited.size()], channel.peer});
      channel.awaited.push_back(false);
    }
  }

  void await(const Message& message) {
    Incoming& channel = *find_channel(owner(step_, message.from_stage), message.traffic);
    std::size_t place = channel.first;
    while (place < channel.awaited.size() && !(channel.messages[place] == message)) ++place;
    check(place < channel.awaited.size(), "{} receives ahead of rank {} do not reach leaf {} of stage {}", ahead_, rank_, message.leaf, message.to_stage);
    channel.awaited[place] = true;
    --channel.waiting;
    while (channel.first < channel.awaited.size() && channel.awaited[channel.first]) ++channel.first;
    program_.push_back({Op::Kind::wait_receive, {}, message, channel.peer});
    post(channel);  // before the compute: the sender need not wait for it
  }

  const StepSchedule& step_;
  int rank_;
  int ahead_;
  std::vector<Incoming> incoming_;
  Program program_;
};

}  // namespace

Program program_of(const StepSchedule& step, int rank, int ahead) {
  check(rank >= 0 && rank < static_cast<int>(step.ranks.size()) && ahead >= 1, "a program of rank {} of {}, {} receives ahead", rank, step.ranks.size(), ahead);
  return ProgramMaker(step, rank, ahead).make();
}

std::string to_string(const Op& op) {
  if (op.kind == Op::Kind::compute) return to_string(op.action);
  const char letter = op.message.traffic == Traffic::forward ? 'F' : 'G';
  const std::string message = fmt::format("{}{} {}>{}", letter, op.message.leaf, op.message.from_stage, op.message.to_stage);
  switch (op.kind) {
    case Op::Kind::post_receive:
      return fmt::format("post {} from {}", message, op.peer);
    case Op::Kind::wait_receive:
      return fmt::format("await {} from {}", message, op.peer);
    default:
      return fmt::format("send {} to {}", message, op.peer);
  }
}

std::string in_words(const Op& op, std::int64_t first_leaf, std::span<const int> rank_of_place) {
  if (op.kind == Op::Kind::compute) {
    constexpr std::array names = {"forward", "backward", "backward to the inputs", "weight gradients"};
    return fmt::format("{} of leaf {} in stage {}", names.at(static_cast<std::size_t>(op.action.kind)), first_leaf + op.action.leaf, op.action.stage);
  }
  const Message& message = op.message;
  const char* what = message.traffic == Traffic::forward ? "activations" : "gradient";
  const bool sends = op.kind == Op::Kind::send;
  const char* verb = sends ? "send" : op.kind == Op::Kind::wait_receive ? "receive" : "ask for";
  return fmt::format("{} the {} of leaf {} {} stage {} (rank {})", verb, what, first_leaf + message.leaf, sends ? "to" : "from",
                     sends ? message.to_stage : message.from_stage, rank_of_place[static_cast<std::size_t>(op.peer)]);
}

}  // namespace tributary
