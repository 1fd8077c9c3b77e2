#include "base/trace.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace tributary {
namespace {

using Json = nlohmann::json;

TEST(Trace, records_spans_inside_the_steps_asked_for_alone) {
  Trace trace({2, 3});
  for (std::int64_t step = 1; step <= 4; ++step) {
    const TraceStep traced(&trace, step);
    const TraceSpan span(&trace, TraceKind::forward, 1, 7);
  }
  { const TraceSpan outside(&trace, TraceKind::forward, 1, 8); }
  const std::vector<TraceEvent> events = trace.take();
  ASSERT_EQ(events.size(), 4U);
  for (std::size_t i = 0; i < 2; ++i) {
    const TraceEvent &span = events[2 * i], &step = events[2 * i + 1];
    EXPECT_EQ(span.kind, TraceKind::forward);
    EXPECT_EQ(span.stage, 1);
    EXPECT_EQ(span.leaf, 7);
    EXPECT_EQ(span.step, static_cast<std::int64_t>(i) + 2);
    EXPECT_EQ(step.kind, TraceKind::step);
    EXPECT_EQ(step.step, span.step);
    EXPECT_LE(step.begin_ns, span.begin_ns);
    EXPECT_LE(span.begin_ns, span.end_ns);
    EXPECT_LE(span.end_ns, step.end_ns);
  }
  EXPECT_TRUE(trace.take().empty());
}

TEST(Trace, takes_a_range_of_steps_and_refuses_anything_else_in_words) {
  EXPECT_EQ(parse_trace_steps("steps=10:12"), (TraceSteps{10, 12}));
  EXPECT_EQ(parse_trace_steps("steps=1:1"), (TraceSteps{1, 1}));
  for (const char* bad : {"", "10:12", "steps=", "steps=x", "steps=3", "steps=3:", "steps=:3", "steps=12:10", "steps=0:1", "steps=-2:1", "steps=1:2 ",
                          "steps= 1:2", "steps=1:2:3", "steps=1:99999999999999999999"}) {
    try {
      (void)parse_trace_steps(bad);
      ADD_FAILURE() << "\"" << bad << "\" was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::configuration) << bad;
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("steps=FIRST:LAST"), testing::HasSubstr(std::string("\"") + bad + "\""))) << bad;
      EXPECT_TRUE(error.shared()) << "all ranks read the same words";
    }
  }
}

// Events of a kind, as (pid, begin, end) in microseconds.
std::vector<Json> named(const Json& trace, const std::string& phase, const std::string& name) {
  std::vector<Json> found;
  for (const Json& event : trace.at("traceEvents"))
    if (event.at("ph") == phase && event.at("name") == name) found.push_back(event);
  return found;
}

TEST(Trace, merges_ranks_on_the_clock_of_rank_0) {
  const RankTrace first{0, {0}, 0, {{TraceKind::forward, 0, 3, 9, 5'000'000, 5'250'500}, {TraceKind::step, -1, -1, 9, 4'000'000, 6'000'000}}};
  const RankTrace second{1, {1, 2}, 1'000'000'000, {{TraceKind::backward, 2, 4, 9, 1'005'000'000, 1'006'000'000}}};
  const Json trace = Json::parse(to_chrome_json({first, second}));
  const Json forward = named(trace, "X", "forward").at(0), backward = named(trace, "X", "backward").at(0);
  EXPECT_DOUBLE_EQ(forward.at("ts"), 1000);
  EXPECT_DOUBLE_EQ(forward.at("dur"), 250.5);
  EXPECT_EQ(forward.at("args"), (Json{{"step", 9}, {"stage", 0}, {"leaf", 3}}));
  EXPECT_EQ(forward.at("pid"), 0);
  EXPECT_EQ(forward.at("cat"), "compute");
  EXPECT_DOUBLE_EQ(backward.at("ts"), 1000) << "a clock that is a second ahead";
  EXPECT_EQ(backward.at("pid"), 1);
  EXPECT_EQ(named(trace, "X", "step").at(0).at("args"), (Json{{"step", 9}}));
  const std::vector<Json> names = named(trace, "M", "process_name");
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[0].at("args").at("name"), "rank 0 (data 0, stage 0)");
  EXPECT_EQ(names[1].at("args").at("name"), "rank 1 (data 1, stages 1, 2)");
}

TEST(Trace, ties_each_message_to_its_receive_in_the_same_pipeline_and_step) {
  const auto sender = [](int data, std::int64_t step, std::int64_t at) {
    return RankTrace{data, {0}, 0, {{TraceKind::send_activation, 0, 5, step, at, at + 100}, {TraceKind::receive_gradient, 0, 5, step, at + 7000, at + 9000}}};
  };
  const auto receiver = [](int data, std::int64_t step, std::int64_t at) {
    return RankTrace{data, {1}, 0, {{TraceKind::receive_activation, 1, 5, step, at, at + 3000}, {TraceKind::send_gradient, 1, 5, step, at + 6000, at + 6100}}};
  };
  const Json trace = Json::parse(to_chrome_json({sender(0, 1, 0), receiver(0, 1, 1000), sender(1, 1, 50'000), receiver(1, 2, 60'000)}));
  const auto activations = [&](const char* phase) { return named(trace, phase, "activations 5 to rank 1"); };
  ASSERT_EQ(activations("b").size(), 1U) << "another step's receive is another message's";
  EXPECT_DOUBLE_EQ(activations("b")[0].at("ts"), 0);
  EXPECT_DOUBLE_EQ(activations("e").at(0).at("ts"), 4);
  EXPECT_EQ(activations("s").at(0).at("pid"), 0);
  EXPECT_EQ(activations("f").at(0).at("pid"), 1);
  EXPECT_EQ(activations("s")[0].at("id"), activations("f")[0].at("id"));
  const std::vector<Json> gradients = named(trace, "b", "gradients 5 to rank 0");
  ASSERT_EQ(gradients.size(), 1U);
  EXPECT_NE(gradients[0].at("id"), activations("b")[0].at("id"));
  EXPECT_TRUE(named(trace, "b", "activations 5 to rank 3").empty());
}

TEST(Trace, gives_every_kind_of_span_a_name_and_a_row) {
  RankTrace rank{0, {0}, 0, {}};
  constexpr int kinds = static_cast<int>(TraceKind::sum_losses) + 1;
  for (int k = 0; k < kinds; ++k) rank.events.push_back({static_cast<TraceKind>(k), 0, 0, 1, k, k + 1});
  const Json trace = Json::parse(to_chrome_json({rank}));
  std::set<std::string> names, rows;
  for (const Json& event : trace.at("traceEvents"))
    if (event.at("ph") == "X") names.insert(event.at("name")), rows.insert(event.at("cat"));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kinds));
  EXPECT_THAT(rows, testing::UnorderedElementsAre("step", "compute", "receive", "send", "reduce", "update", "input", "communication"));
}

}  // namespace
}  // namespace tributary
