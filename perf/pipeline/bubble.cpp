// The bubble of each schedule as it runs: every forward, input gradient and weight product of every stage takes a set time (it sleeps), so any number of ranks
// fits any machine.
// Usage, under mpirun -n P: perf_bubble ROUNDS LEAVES MILLISECONDS ELEMENTS, the last the floats of a message. Rank 0 prints one JSON object a schedule, one a
// line: its name, its leaves, the simulated bubble of equal parts ("formula"), the same with messages that take as long as one of this size took alone
// ("with_messages"), and of each round the share of the ranks' time in which they computed nothing ("measured"), and the share that the set times leave of it
// ("with_overhead": what the engine and the end of each sleep cost counts as lost).
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>

#include "chain.h"
#include "comm/transfer.h"
#include "schedule/timeline.h"

namespace tributary::perf {
namespace {

bool computes(const TraceEvent& event) {
  return event.kind == TraceKind::forward || event.kind == TraceKind::backward || event.kind == TraceKind::backward_input ||
         event.kind == TraceKind::backward_weight;
}

struct Lost {
  double measured = 0, with_overhead = 0;
};

// Of one step; all ranks are on one machine, so they share the clock.
Lost run_once(const Communicator& world, const Rig& rig, Trace& trace, double set_work_s) {
  world.barrier();
  const std::int64_t begin_ns = steady_ns();
  {
    const TraceStep step(&trace, 1);
    rig.run();
  }
  std::int64_t busy_ns = 0, end_ns = begin_ns;
  for (const TraceEvent& event : trace.take()) {
    if (!computes(event)) continue;
    busy_ns += event.end_ns - event.begin_ns;
    end_ns = std::max(end_ns, event.end_ns);
  }
  std::vector<std::int64_t> sums{busy_ns}, latest{end_ns, -begin_ns};
  world.sum(sums);
  world.maximum(latest);
  const double available_s = static_cast<double>(latest[0] + latest[1]) * 1e-9 * world.size();
  return {1 - static_cast<double>(sums[0]) * 1e-9 / available_s, 1 - set_work_s / available_s};
}

// Seconds that one message takes between ranks 0 and 1 while nobody computes.
double time_of_message(const Communicator& world, std::int64_t elements) {
  constexpr int rounds = 20;
  std::vector<std::int64_t> ns{0};
  std::vector<float> values(static_cast<std::size_t>(elements));
  const auto bytes = std::as_writable_bytes(std::span(values));
  const int other = 1 - world.rank();
  for (int round = -2; round < rounds && world.rank() < 2; ++round) {
    const std::int64_t begin_ns = steady_ns();
    if (world.rank() == 0) Transfer::send(world, bytes, other).wait();
    Transfer::receive(world, bytes, other).wait();
    if (world.rank() == 1) Transfer::send(world, bytes, other).wait();
    if (round >= 0) ns[0] += (steady_ns() - begin_ns) / 2 / rounds;
  }
  world.maximum(ns);
  return static_cast<double>(ns[0]) * 1e-9;
}

void measure(const Communicator& world, const Communicator& gradients, const ScheduleKind& kind, int rounds, std::int64_t leaves, std::int64_t elements,
             Duration part, double message_s) {
  const int chunks = kind.name == "interleaved" || kind.name == "zb_v" ? 2 : 1;
  const Pipeline pipeline{world.size(), chunks};
  Trace trace(TraceSteps{1, 1});
  const Rig rig(kind, pipeline, leaves, elements, part, world, gradients, &trace);
  const double part_s = std::chrono::duration<double>(part).count();
  const auto stages = static_cast<std::size_t>(pipeline.stages());
  const StepCosts costs{std::vector<StageCost>(stages, {part_s, part_s, part_s}), std::vector<BoundaryCost>(stages - 1, {message_s, message_s}), {}};
  const double work_s = part_s * 3 * static_cast<double>(leaves) * pipeline.stages();
  std::vector<double> measured, with_overhead;
  for (int round = 0; round < rounds; ++round) {
    const Lost lost = run_once(world, rig, trace, work_s);
    measured.push_back(lost.measured);
    with_overhead.push_back(lost.with_overhead);
  }
  const nlohmann::ordered_json line = {{"schedule", kind.name},
                                       {"ranks", world.size()},
                                       {"leaves", leaves},
                                       {"formula", simulate(rig.step, unit_costs(pipeline.stages())).bubble()},
                                       {"with_messages", simulate(rig.step, costs).bubble()},
                                       {"measured", measured},
                                       {"with_overhead", with_overhead}};
  if (world.rank() != 0) return;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace tributary::perf

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc != 5) return 64;
  at::set_num_threads(1);
  MpiRuntime runtime(argc, argv);
  const Communicator world = Communicator::world();
  const Communicator gradients = Communicator::world();
  const double message_s = perf::time_of_message(world, std::atoll(argv[4]));
  for (const ScheduleKind& kind : schedule_kinds())
    perf::measure(world, gradients, kind, std::atoi(argv[1]), std::atoll(argv[2]), std::atoll(argv[4]),
                  perf::Duration(static_cast<std::int64_t>(std::atof(argv[3]) * 1e3)), message_s);
  return 0;
}
