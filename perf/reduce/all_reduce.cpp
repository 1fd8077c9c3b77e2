// Times the sum of float buffers over all ranks, so that every rank can read all of it: gradients in shared memory (or by our MPI path) against MPI_Allreduce.
// Usage, under mpirun: perf_all_reduce BACKEND ROUNDS ELEMENTS...   BACKEND: window (inside each node, MPI between nodes), mpi (ours, flat), open_mpi. Rank 0
// prints one JSON object: seconds by ELEMENTS.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "optim/host_exchange.h"

namespace tributary {
namespace {

// A stage with one parameter of so many elements.
ModelLayout one_parameter(std::int64_t elements) {
  BlockList model;
  model.parameters = {{"weight", {elements}}};
  model.blocks.push_back({"only", {}, {}, {"loss"}, {"weight"}, [](const BlockInput&) -> std::vector<at::Tensor> { return {}; }});
  return lay_out(model, {0});
}

std::vector<double> time_rounds(const Communicator& world, int rounds, const std::function<void()>& prepare, const std::function<void()>& sum) {
  std::vector<double> seconds;
  for (int round = 0; round < rounds + 3; ++round) {
    prepare();
    world.barrier();
    const Stopwatch watch;
    sum();
    std::vector<std::int64_t> slowest{static_cast<std::int64_t>(watch.elapsed_s() * 1e9)};
    world.maximum(slowest);
    if (round >= 3) seconds.push_back(static_cast<double>(slowest[0]) * 1e-9);
  }
  return seconds;
}

std::vector<double> ours(const Communicator& world, const TeamShape& team, int rounds, std::int64_t elements) {
  const ModelLayout layout = one_parameter(elements);
  HostExchange exchange(world, team, slice_gradient(layout, 0, world.size()), make_buckets(layout.stages.front(), 1));
  std::vector<std::int64_t> bounds;
  for (int r = 0; r <= world.size(); ++r) bounds.push_back(r);
  const SumPlan plan = plan_sum(Reduction::exact, bounds, team);
  const at::Tensor whole = exchange.place_weights(at::zeros({layout.stages.front().parameters.total}));
  const ArenaSlices slices = slice_arena(whole.numel(), world.size());
  const auto prepare = [&] {
    exchange.start(plan);
    exchange.partial(0).fill_(1);
  };
  const auto sum = [&] {
    exchange.ready(1);
    const at::Tensor slice = exchange.finish().front();
    if (team.nodes > 1) {  // no memory that all see: the slices travel
      std::copy_n(slice.data_ptr<float>(), slice.numel(), whole.data_ptr<float>() + slices.offsets[static_cast<std::size_t>(world.rank())]);
      exchange.share_weights(whole);
    } else {
      exchange.meet();
    }
    if (slice.numel() > 0 && slice.data_ptr<float>()[0] != static_cast<float>(world.size())) std::abort();
  };
  return time_rounds(world, rounds, prepare, sum);
}

std::vector<double> open_mpi(const Communicator& world, int rounds, std::int64_t elements) {
  std::vector<float> values(static_cast<std::size_t>(elements));
  const auto prepare = [&] { std::fill(values.begin(), values.end(), 1.0F); };
  const auto sum = [&] {
    MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(elements), MPI_FLOAT, MPI_SUM, world.handle());
    if (values.front() != static_cast<float>(world.size())) std::abort();
  };
  return time_rounds(world, rounds, prepare, sum);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc < 4) return 64;
  MpiRuntime runtime(argc, argv);
  const Communicator world = Communicator::world();
  const std::string backend = argv[1];
  const int local = backend == "window" ? world.split_by_node().size() : 1;
  nlohmann::json result;
  for (int i = 3; i < argc; ++i) {
    const std::int64_t elements = std::atoll(argv[i]);
    const int rounds = std::atoi(argv[2]);
    result[argv[i]] = backend == "open_mpi" ? open_mpi(world, rounds, elements) : ours(world, TeamShape{world.size() / local, local}, rounds, elements);
  }
  if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  return 0;
}
