#include "base/trace.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <iterator>
#include <limits>
#include <map>
#include <tuple>

#include "base/error.h"

namespace tributary {
namespace {

// The rows of a rank, from top to bottom.
constexpr std::array<std::string_view, 8> categories = {"step", "compute", "receive", "send", "reduce", "update", "input", "communication"};

struct KindText {
  std::string_view name;
  std::size_t category;
};

KindText text_of(TraceKind kind) {
  switch (kind) {
    case TraceKind::step:
      return {"step", 0};
    case TraceKind::forward:
      return {"forward", 1};
    case TraceKind::backward:
      return {"backward", 1};
    case TraceKind::backward_input:
      return {"input-gradient", 1};
    case TraceKind::backward_weight:
      return {"weight-gradient", 1};
    case TraceKind::receive_activation:
      return {"wait for activations", 2};
    case TraceKind::receive_gradient:
      return {"wait for gradients", 2};
    case TraceKind::send_activation:
      return {"send activations", 3};
    case TraceKind::send_gradient:
      return {"send gradients", 3};
    case TraceKind::await_sends:
      return {"wait until taken", 3};
    case TraceKind::sum_buckets:
      return {"sum buckets", 4};
    case TraceKind::finish_sums:
      return {"finish sums", 4};
    case TraceKind::measure_norm:
      return {"norm", 4};
    case TraceKind::gather_sums:
      return {"gather sums", 4};
    case TraceKind::optimizer:
      return {"AdamW", 5};
    case TraceKind::gather_weights:
      return {"gather weights", 5};
    case TraceKind::read_batches:
      return {"wait for batches", 6};
    case TraceKind::sum_label_counts:
      return {"sum of label counts", 7};
    case TraceKind::sum_losses:
      return {"sum of losses", 7};
  }
  fail(ErrorKind::internal, "no such kind of span: {}", static_cast<int>(kind));
}

bool sends(const TraceEvent& e) { return e.kind == TraceKind::send_activation || e.kind == TraceKind::send_gradient; }
bool receives(const TraceEvent& e) { return e.kind == TraceKind::receive_activation || e.kind == TraceKind::receive_gradient; }

// Of a message of the run: step, pipeline, whether it goes forward, the stage it comes from, leaf.
using Letter = std::tuple<std::int64_t, int, bool, int, std::int64_t>;
Letter letter(const TraceEvent& e, int data) {
  const bool forward = e.kind == TraceKind::send_activation || e.kind == TraceKind::receive_activation;
  return {e.step, data, forward, sends(e) ? e.stage : (forward ? e.stage - 1 : e.stage + 1), e.leaf};
}

class Writer {
 public:
  explicit Writer(const std::vector<RankTrace>& ranks) : ranks_(ranks) {
    zero_ns_ = std::numeric_limits<std::int64_t>::max();
    for (const RankTrace& rank : ranks)
      for (const TraceEvent& e : rank.events) zero_ns_ = std::min(zero_ns_, e.begin_ns - rank.clock_offset_ns);
  }

  std::string operator()() {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      name_rows(rank);
      for (const TraceEvent& event : ranks_[rank].events) span(rank, event);
    }
    messages();
    return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + out_ + "\n]}\n";
  }

 private:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (!out_.empty()) out_ += ",\n";
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
  }

  [[nodiscard]] double microseconds(std::size_t rank, std::int64_t ns) const {
    return static_cast<double>(ns - ranks_[rank].clock_offset_ns - zero_ns_) * 1e-3;
  }

  void name_rows(std::size_t rank) {
    const RankTrace& r = ranks_[rank];
    const std::string label = fmt::format("rank {} (data {}, stage{} {})", rank, r.data, r.stages.size() == 1 ? "" : "s", fmt::join(r.stages, ", "));
    line(R"({{"name":"process_name","ph":"M","pid":{},"args":{{"name":"{}"}}}})", rank, label);
    line(R"({{"name":"process_sort_index","ph":"M","pid":{},"args":{{"sort_index":{}}}}})", rank, rank);
    for (std::size_t c = 0; c < categories.size(); ++c) {
      line(R"({{"name":"thread_name","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}})", rank, c, categories[c]);
      line(R"({{"name":"thread_sort_index","ph":"M","pid":{},"tid":{},"args":{{"sort_index":{}}}}})", rank, c, c);
    }
  }

  void span(std::size_t rank, const TraceEvent& e) {
    const auto [name, category] = text_of(e.kind);
    const double begin = microseconds(rank, e.begin_ns);
    std::string more;
    if (e.stage >= 0) more += fmt::format(",\"stage\":{}", e.stage);
    if (e.leaf >= 0) more += fmt::format(",\"leaf\":{}", e.leaf);
    line(R"({{"name":"{}","cat":"{}","ph":"X","ts":{:.3f},"dur":{:.3f},"pid":{},"tid":{},"args":{{"step":{}{}}}}})", name, categories[category], begin,
         microseconds(rank, e.end_ns) - begin, rank, category, e.step, more);
  }

  // From the send to the end of the wait for it: a span beside the sender's rows, and an arrow between the two.
  void messages() {
    std::map<Letter, std::pair<std::size_t, const TraceEvent*>> sent;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      for (const TraceEvent& e : ranks_[rank].events)
        if (sends(e)) sent[letter(e, ranks_[rank].data)] = {rank, &e};
    std::size_t id = 0;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      for (const TraceEvent& e : ranks_[rank].events) {
        const auto found = receives(e) ? sent.find(letter(e, ranks_[rank].data)) : sent.end();
        if (found != sent.end()) message(++id, found->second.first, *found->second.second, rank, e);
      }
  }

  void message(std::size_t id, std::size_t from, const TraceEvent& send, std::size_t to, const TraceEvent& receive) {
    const std::string name = fmt::format("{} {} to rank {}", send.kind == TraceKind::send_activation ? "activations" : "gradients", send.leaf, to);
    const double begin = microseconds(from, send.begin_ns), end = microseconds(to, receive.end_ns);
    const auto part = [&](char phase, double at, std::size_t rank, TraceKind row, const char* more) {
      line(R"({{"name":"{}","cat":"message","ph":"{}","id":{},"ts":{:.3f},"pid":{},"tid":{}{}}})", name, phase, id, at, rank, text_of(row).category, more);
    };
    part('b', begin, from, send.kind, "");
    part('e', end, from, send.kind, "");
    part('s', begin, from, send.kind, "");
    part('f', end, to, receive.kind, R"(,"bp":"e")");
  }

  const std::vector<RankTrace>& ranks_;
  std::int64_t zero_ns_ = 0;
  std::string out_;
};

}  // namespace

TraceSteps parse_trace_steps(std::string_view text) {
  constexpr std::string_view prefix = "steps=";
  TraceSteps steps{0, 0};
  bool good = text.starts_with(prefix);
  if (good) {
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data() + prefix.size(), end, steps.first);
    good = first.ec == std::errc() && first.ptr != end && *first.ptr == ':';
    const auto last = good ? std::from_chars(first.ptr + 1, end, steps.last) : first;
    good = good && last.ec == std::errc() && last.ptr == end && steps.first >= 1 && steps.first <= steps.last;
  }
  if (!good) {
    throw Error(
        ErrorKind::configuration,
        fmt::format("--trace: expected steps=FIRST:LAST with 1 <= FIRST <= LAST, such as steps=10:12 for the three steps from 10 on, found \"{}\"", text))
        .mark_shared();
  }
  return steps;
}

std::int64_t steady_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

TraceStep::TraceStep(Trace* trace, std::int64_t step)
    : trace_(trace != nullptr && step >= trace->steps_.first && step <= trace->steps_.last ? trace : nullptr) {
  if (trace_ == nullptr) return;
  trace_->step_ = step;
  begin_ns_ = steady_ns();
}

TraceStep::~TraceStep() {
  if (trace_ == nullptr) return;
  trace_->events_.push_back({TraceKind::step, -1, -1, trace_->step_, begin_ns_, steady_ns()});
  trace_->step_ = 0;
}

std::string to_chrome_json(const std::vector<RankTrace>& ranks) { return Writer(ranks)(); }

}  // namespace tributary
