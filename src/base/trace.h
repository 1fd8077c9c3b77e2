// What a rank did when: spans of time of a few steps of a run, merged over ranks into one file that Perfetto and chrome://tracing open.
//
// A recorder is handed to whoever has something to record; a null pointer records nothing and costs a comparison. Spans are the host's: work that is only
// started on a device ends for them when it is started.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tributary {

enum class TraceKind : std::int32_t {
  step,
  forward,
  backward,
  backward_input,
  backward_weight,
  receive_activation,
  receive_gradient,
  send_activation,
  send_gradient,
  await_sends,
  sum_buckets,
  finish_sums,
  measure_norm,
  gather_sums,
  optimizer,
  gather_weights,
  read_batches,
  sum_label_counts,
  sum_losses
};

struct TraceEvent {
  TraceKind kind = TraceKind::step;
  std::int32_t stage = -1;                // of the model, on the rank that recorded it; -1: of none
  std::int64_t leaf = -1;                 // number among the leaves of the rank's pipeline, as schedules count them; -1: of none
  std::int64_t step = 0;                  // as in events.jsonl
  std::int64_t begin_ns = 0, end_ns = 0;  // of the rank's steady clock
  bool operator==(const TraceEvent&) const = default;
};
static_assert(std::is_trivially_copyable_v<TraceEvent> && std::has_unique_object_representations_v<TraceEvent>, "events travel as bytes");

struct TraceSteps {  // both are recorded
  std::int64_t first = 1, last = 1;
  bool operator==(const TraceSteps&) const = default;
};

// "steps=10:12". Throws: Error{configuration} for anything else.
[[nodiscard]] TraceSteps parse_trace_steps(std::string_view text);

[[nodiscard]] std::int64_t steady_ns();  // of the steady clock, which the ranks of a machine share

// One thread records. Nothing is recorded outside the steps asked for.
class Trace {
 public:
  explicit Trace(TraceSteps steps) : steps_(steps) {}
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  [[nodiscard]] const TraceSteps& steps() const { return steps_; }
  [[nodiscard]] bool recording() const { return step_ > 0; }
  [[nodiscard]] std::vector<TraceEvent> take() { return std::exchange(events_, {}); }  // in the order in which they ended

 private:
  friend class TraceSpan;
  friend class TraceStep;
  TraceSteps steps_;
  std::int64_t step_ = 0;  // that is being recorded; 0: none
  std::vector<TraceEvent> events_;
};

// From construction to destruction. trace: null records nothing.
class TraceSpan {
 public:
  explicit TraceSpan(Trace* trace, TraceKind kind, int stage = -1, std::int64_t leaf = -1) : trace_(trace != nullptr && trace->recording() ? trace : nullptr) {
    if (trace_ != nullptr) event_ = {kind, stage, leaf, trace_->step_, steady_ns(), 0};
  }
  ~TraceSpan() {
    if (trace_ == nullptr) return;
    event_.end_ns = steady_ns();
    trace_->events_.push_back(event_);
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  Trace* trace_;
  TraceEvent event_;
};

// A step, from construction to destruction: inside it spans are recorded if the step was asked for.
class TraceStep {
 public:
  TraceStep(Trace* trace, std::int64_t step);
  ~TraceStep();
  TraceStep(const TraceStep&) = delete;
  TraceStep& operator=(const TraceStep&) = delete;

 private:
  Trace* trace_;
  std::int64_t begin_ns_ = 0;
};

struct RankTrace {
  int data = 0;                      // number of the rank's pipeline
  std::vector<int> stages;           // that the rank holds
  std::int64_t clock_offset_ns = 0;  // its clock minus that of rank 0
  std::vector<TraceEvent> events;
};

// Chrome's trace format (a JSON object): a process a rank, a row a category, and an arrow from each message's send to its receive, with the time in between.
// Times are microseconds since the first event, on the clock of rank 0. Pure.
[[nodiscard]] std::string to_chrome_json(const std::vector<RankTrace>& ranks);

}  // namespace tributary
