#include "schedule/checker.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"

namespace tributary {
namespace {

// Numbers of what a stage has finished. Leaves ascend, so a count says which.
struct StageCounts {
  std::int64_t forwards = 0, gradients = 0, finished = 0;
};

class ScheduleChecker {
 public:
  explicit ScheduleChecker(const StepSchedule& step) : step_(step), counts_(step.rank_of_stage.size()) {}

  std::string fault() {
    for (std::size_t rank = 0; rank < step_.ranks.size(); ++rank)
      for (const Action& action : step_.ranks[rank]) {
        if (std::string why = place_fault(static_cast<int>(rank), action); !why.empty()) return why;
        if (std::string why = order_fault(action); !why.empty()) return fmt::format("rank {}, {}: {}", rank, to_string(action), why);
      }
    for (std::size_t stage = 0; stage < counts_.size(); ++stage) {
      const auto& [forwards, gradients, finished] = counts_[stage];
      if (forwards != step_.leaves) return fmt::format("stage {} runs {} of {} leaves forward", stage, forwards, step_.leaves);
      const std::int64_t backwards = step_.training ? step_.leaves : 0;
      if (gradients != backwards) return fmt::format("stage {} runs {} of {} leaves backward", stage, gradients, backwards);
      if (finished != backwards) return fmt::format("stage {} finishes the gradients of {} of {} leaves", stage, finished, backwards);
    }
    return {};
  }

 private:
  [[nodiscard]] std::string place_fault(int rank, const Action& action) const {
    if (action.stage < 0 || action.stage >= step_.stages() || action.leaf < 0 || action.leaf >= step_.leaves)
      return fmt::format("rank {}, {}: there are {} stages and {} leaves", rank, to_string(action), step_.stages(), step_.leaves);
    const int owner = step_.rank_of_stage[static_cast<std::size_t>(action.stage)];
    return owner == rank ? "" : fmt::format("rank {}, {}: the stage belongs to rank {}", rank, to_string(action), owner);
  }

  // Ascending counters without gaps: repeated, missing and disordered leaves are one fault.
  std::string order_fault(const Action& action) {
    StageCounts& done = counts_[static_cast<std::size_t>(action.stage)];
    const auto next = [&action](std::int64_t& count, std::string_view what) {
      return action.leaf == count++ ? std::string() : fmt::format("expected leaf {} as the stage's next {}", count - 1, what);
    };
    if (action.kind == ActionKind::forward) return next(done.forwards, "forward");
    if (action.leaf >= done.forwards) return "before its forward";
    if (action.kind == ActionKind::backward_weight && action.leaf >= done.gradients) return "before its backward";
    if (carries_gradient(action.kind))
      if (std::string why = next(done.gradients, "backward"); !why.empty()) return why;
    return ends_life(action.kind) ? next(done.finished, "end of a backward") : "";
  }

  const StepSchedule& step_;
  std::vector<StageCounts> counts_;
};

class ProgramChecker {
 public:
  ProgramChecker(const StepSchedule& step, const std::vector<Program>& programs, int ahead)
      : step_(step), programs_(programs), ahead_(ahead), ranks_(programs.size()), at_(ranks_), computed_(ranks_), channels_(ranks_ * ranks_ * 2) {
    const auto cells = step.rank_of_stage.size() * static_cast<std::size_t>(step.leaves);
    for (auto& states : messages_) states.resize(cells);
    for (auto& flags : results_) flags.resize(cells);
  }

  std::string fault() {
    if (ranks_ != step_.ranks.size()) return fmt::format("{} programs for {} ranks", ranks_, step_.ranks.size());
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < ranks_; ++rank)
        for (; at_[rank] < programs_[rank].size(); ++at_[rank]) {
          const Op& op = programs_[rank][at_[rank]];
          const Outcome outcome = run(rank, op);
          if (!outcome.fault.empty()) return fmt::format("rank {}, operation {}, {}: {}", rank, at_[rank], to_string(op), outcome.fault);
          if (outcome.waits) break;
          moved = true;
        }
    }
    return end_fault();
  }

 private:
  struct Outcome {
    bool waits = false;
    std::string fault = {};
  };
  enum class State : unsigned char { none, posted, arrived, awaited };
  struct Channel {
    std::vector<Message> posted;
    std::size_t sent = 0;
    int waiting = 0;  // posted, not awaited
  };

  [[nodiscard]] std::size_t cell(int stage, std::int64_t leaf) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(step_.leaves) + static_cast<std::size_t>(leaf);
  }
  [[nodiscard]] bool known(int stage, std::int64_t leaf) const { return stage >= 0 && stage < step_.stages() && leaf >= 0 && leaf < step_.leaves; }
  [[nodiscard]] int owner(int stage) const { return step_.rank_of_stage[static_cast<std::size_t>(stage)]; }
  [[nodiscard]] State& state(const Message& m) { return messages_[static_cast<std::size_t>(m.traffic)][cell(m.to_stage, m.leaf)]; }
  [[nodiscard]] Channel& channel(std::size_t from, std::size_t to, Traffic traffic) {
    return channels_[(from * ranks_ + to) * 2 + static_cast<std::size_t>(traffic)];
  }
  // Forwards done, and gradients given.
  [[nodiscard]] bool has_result(Traffic traffic, int stage, std::int64_t leaf) const { return results_[static_cast<std::size_t>(traffic)][cell(stage, leaf)]; }

  Outcome run(std::size_t rank, const Op& op) {
    if (op.kind == Op::Kind::compute) return {false, compute(rank, op.action)};
    const Message& m = op.message;
    const int here = op.kind == Op::Kind::send ? m.from_stage : m.to_stage;
    const int there = op.kind == Op::Kind::send ? m.to_stage : m.from_stage;
    if (!known(here, m.leaf) || !known(there, m.leaf) || m.to_stage - m.from_stage != (m.traffic == Traffic::forward ? 1 : -1))
      return {false, "no such message"};
    if (owner(here) != static_cast<int>(rank) || owner(there) != op.peer || op.peer == static_cast<int>(rank)) return {false, "between the wrong ranks"};
    const auto peer = static_cast<std::size_t>(op.peer);
    switch (op.kind) {
      case Op::Kind::post_receive:
        return {false, post(channel(peer, rank, m.traffic), m)};
      case Op::Kind::wait_receive:
        return await(channel(peer, rank, m.traffic), m);
      default:
        return send(channel(rank, peer, m.traffic), m);
    }
  }

  std::string post(Channel& way, const Message& m) {
    if (state(m) != State::none) return "posted twice";
    state(m) = State::posted;
    way.posted.push_back(m);
    return ++way.waiting <= ahead_ ? "" : fmt::format("more than {} receives posted and not awaited", ahead_);
  }

  Outcome await(Channel& way, const Message& m) {
    if (state(m) == State::none) return {false, "never posted"};
    if (state(m) == State::awaited) return {false, "awaited twice"};
    if (state(m) == State::posted) return {true};
    state(m) = State::awaited;
    --way.waiting;
    return {};
  }

  Outcome send(Channel& way, const Message& m) {
    if (!has_result(m.traffic, m.from_stage, m.leaf)) return {false, "sent before it is computed"};
    if (way.sent == way.posted.size()) return {true};
    const Message& expected = way.posted[way.sent];
    if (!(expected == m)) return {false, fmt::format("the receiver expects leaf {} from stage {}", expected.leaf, expected.from_stage)};
    ++way.sent;
    state(m) = State::arrived;
    return {};
  }

  std::string compute(std::size_t rank, const Action& action) {
    const Schedule& schedule = step_.ranks[rank];
    if (computed_[rank] >= schedule.size() || !(schedule[computed_[rank]] == action)) return "not the schedule's next action";
    ++computed_[rank];
    const Traffic traffic = action.kind == ActionKind::forward ? Traffic::forward : Traffic::gradient;
    if (action.kind == ActionKind::backward_weight) return {};
    const int from = traffic == Traffic::forward ? action.stage - 1 : action.stage + 1;
    if (from >= 0 && from < step_.stages()) {
      const bool local = owner(from) == owner(action.stage);
      const bool there = local ? has_result(traffic, from, action.leaf) : state({traffic, action.leaf, from, action.stage}) == State::awaited;
      if (!there) return fmt::format("before {} stage {}", local ? "it has run on" : "it has come from", from);
    }
    results_[static_cast<std::size_t>(traffic)][cell(action.stage, action.leaf)] = true;
    return {};
  }

  [[nodiscard]] std::string end_fault() const {
    std::string waiting;
    for (std::size_t rank = 0; rank < ranks_; ++rank)
      if (at_[rank] < programs_[rank].size())
        waiting += fmt::format("{}rank {} in {}", waiting.empty() ? "" : ", ", rank, to_string(programs_[rank][at_[rank]]));
    if (!waiting.empty()) return "all wait for ever: " + waiting;
    for (std::size_t rank = 0; rank < ranks_; ++rank)
      if (computed_[rank] != step_.ranks[rank].size()) return fmt::format("rank {} computes {} of {} actions", rank, computed_[rank], step_.ranks[rank].size());
    for (const Channel& way : channels_) {
      if (way.sent != way.posted.size()) return fmt::format("{} messages are expected, {} sent", way.posted.size(), way.sent);
      if (way.waiting != 0) return fmt::format("{} messages are never awaited", way.waiting);
    }
    return {};
  }

  const StepSchedule& step_;
  const std::vector<Program>& programs_;
  int ahead_;
  std::size_t ranks_;
  std::vector<std::size_t> at_, computed_;             // [ranks] next operation, next action
  std::vector<Channel> channels_;                      // [from, to, traffic]
  std::array<std::vector<State>, 2> messages_;         // [traffic][to_stage, leaf]
  std::array<std::vector<unsigned char>, 2> results_;  // [traffic][stage, leaf]
};

}  // namespace

std::string schedule_fault(const StepSchedule& step) { return ScheduleChecker(step).fault(); }

std::string program_fault(const StepSchedule& step, const std::vector<Program>& programs, int ahead) { return ProgramChecker(step, programs, ahead).fault(); }

std::string fault(const ScheduleKind& kind, Pipeline pipeline, std::int64_t leaves) {
  const StepSchedule step = step_schedule(kind, pipeline, leaves);
  if (std::string why = schedule_fault(step); !why.empty()) return why;
  std::vector<Program> programs;
  for (int rank = 0; rank < pipeline.ranks; ++rank) programs.push_back(program_of(step, rank));
  if (std::string why = program_fault(step, programs); !why.empty()) return why;
  const bool bounded = !fall_back(kind, pipeline, leaves).empty();
  for (int rank = 0; rank < pipeline.ranks; ++rank) {
    const std::int64_t live = peak_live(step.ranks[static_cast<std::size_t>(rank)]);
    const std::int64_t formula = most_live(kind, pipeline, leaves, rank);
    if (bounded ? live > formula : live != formula) return fmt::format("rank {} holds {} activations, the formula says {}", rank, live, formula);
  }
  return {};
}

}  // namespace tributary
