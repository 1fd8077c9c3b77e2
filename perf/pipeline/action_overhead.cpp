// What the engine costs: microseconds an action of a pipeline of two ranks whose blocks do nothing, beside its messages alone by plain MPI and its blocks
// alone, in turn.
// Usage, under mpirun -n 2: perf_action_overhead ROUNDS LEAVES. Rank 0 prints one JSON object: by schedule the actions of a rank and, of each round, the
// microseconds an action of the slower rank by the engine ("engine"), of the messages by MPI ("messages") and of the blocks with autograd ("blocks").
#include <ATen/Parallel.h>
#include <mpi.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "chain.h"

namespace tributary::perf {
namespace {

// The program's messages without engine and blocks: the same bytes in the same order.
void messages_alone(const Program& program, const Communicator& activations, const Communicator& gradients) {
  struct Posted {
    Message message;
    std::vector<float> values;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  static std::vector<Posted> posted(2 * receives_ahead, Posted{{}, std::vector<float>(8)});
  static const std::vector<float> values(8);
  std::vector<MPI_Request> sends;
  const auto comm = [&](const Op& op) { return (op.message.traffic == Traffic::forward ? activations : gradients).handle(); };
  for (const Op& op : program) {
    if (op.kind == Op::Kind::post_receive) {
      auto place = posted.begin();
      while (place->request != MPI_REQUEST_NULL) ++place;
      place->message = op.message;
      MPI_Irecv(place->values.data(), 8, MPI_FLOAT, op.peer, 1, comm(op), &place->request);
    } else if (op.kind == Op::Kind::wait_receive) {
      auto place = posted.begin();
      while (place->request == MPI_REQUEST_NULL || !(place->message == op.message)) ++place;
      MPI_Wait(&place->request, MPI_STATUS_IGNORE);
    } else if (op.kind == Op::Kind::send) {
      sends.push_back(MPI_REQUEST_NULL);
      MPI_Isend(values.data(), 8, MPI_FLOAT, op.peer, 1, comm(op), &sends.back());
    }
  }
  MPI_Waitall(static_cast<int>(sends.size()), sends.data(), MPI_STATUSES_IGNORE);
}

// Forward and autograd's backward of as many blocks as a rank runs: what no engine over LibTorch can save.
void blocks_alone(std::int64_t leaves) {
  const at::Tensor given = at::zeros({8}), gradient = at::ones({8});
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    const at::Tensor input = given.detach().set_requires_grad(true);
    const at::Tensor output = input.clone();
    (void)torch::autograd::grad({output}, {input}, {gradient}, std::nullopt, false, true);
  }
}

template <class Work>
double slower_us(const Communicator& world, std::size_t actions, Work&& work) {
  world.barrier();
  const Stopwatch watch;
  work();
  std::vector<std::int64_t> ns{static_cast<std::int64_t>(watch.elapsed_s() * 1e9)};
  world.maximum(ns);
  return static_cast<double>(ns[0]) * 1e-3 / static_cast<double>(actions);
}

nlohmann::ordered_json measure(const Communicator& world, const Communicator& gradients, std::string_view name, int rounds, std::int64_t leaves) {
  const Rig rig(schedule_kind(name), {world.size(), 1}, leaves, 8, Duration{0}, world, gradients, nullptr);
  const std::size_t actions = rig.step.ranks[static_cast<std::size_t>(world.rank())].size();
  std::vector<double> engine, messages, blocks;
  for (int round = 0; round <= rounds; ++round) {
    const double one = slower_us(world, actions, [&] { rig.run(); });
    const double other = slower_us(world, actions, [&] { messages_alone(rig.program, world, gradients); });
    const double floor = slower_us(world, actions, [&] { blocks_alone(leaves); });
    if (round == 0) continue;
    engine.push_back(one);
    messages.push_back(other);
    blocks.push_back(floor);
  }
  return {{"actions", actions}, {"engine", engine}, {"messages", messages}, {"blocks", blocks}};
}

}  // namespace
}  // namespace tributary::perf

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc != 3) return 64;
  at::set_num_threads(1);
  MpiRuntime runtime(argc, argv);
  const Communicator world = Communicator::world();
  const Communicator gradients = Communicator::world();
  nlohmann::ordered_json result;
  for (const char* name : {"gpipe", "1f1b", "zb_h1"}) result[name] = perf::measure(world, gradients, name, std::atoi(argv[1]), std::atoll(argv[2]));
  if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  return 0;
}
