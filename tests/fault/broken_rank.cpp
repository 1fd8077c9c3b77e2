// Trains as `tributary train` does, step by step, but with one block that misbehaves in one leaf: on whatever rank computes it.
// broken_rank CONFIG.toml throw|stop|kill|values|gradient STEP LEAF BLOCK (a number; negative: from the last one)
// Or the last rank plans another run than its peers: with another layout of the parameters of this block, or other records in every leaf.
// broken_rank CONFIG.toml model|batches 0 0 BLOCK
#include <fmt/ranges.h>

#include <csignal>
#include <cstdlib>
#include <limits>

#include "app/process.h"
#include "app/program.h"
#include "base/error.h"
#include "comm/agree.h"
#include "train/bad_leaves.h"
#include "train/compute.h"
#include "train/evaluator.h"
#include "train/name_waits.h"
#include "train/pipeline_plan.h"
#include "train/plan_digest.h"
#include "train/run_settings.h"
#include "train/train_step.h"

namespace tributary {
namespace {

struct Fault {
  std::string kind;
  std::int64_t step = 0, leaf = 0;
};

std::vector<at::Tensor> misbehave(const Fault& fault, const BlockSpec& block, const BlockInput& in) {
  if (fault.kind == "throw") fail(ErrorKind::data, "planted");
  if (fault.kind == "stop") std::raise(SIGSTOP);
  if (fault.kind == "kill") std::raise(SIGKILL);
  std::vector<at::Tensor> outputs = block.forward(in);
  for (at::Tensor& output : outputs) {
    if (!output.is_floating_point()) continue;
    // The root of 0 is 0, and its slope is infinite.
    output = fault.kind == "values" ? output * std::numeric_limits<double>::quiet_NaN() : output + at::sqrt(output * 0);
  }
  return outputs;
}

void plant(BlockList& model, std::size_t number, const Fault& fault) {
  BlockSpec& block = model.blocks[number];
  block.forward = [fault, sound = block](const BlockInput& in) {
    return in.context.step == fault.step && in.context.leaf == fault.leaf ? misbehave(fault, sound, in) : sound.forward(in);
  };
}

// Of another size, so that its arenas and messages are too.
void widen(BlockList& model, std::size_t number) {
  const std::string& name = model.blocks[number].parameters.front();
  for (ParameterSpec& spec : model.parameters)
    if (spec.name == name) spec.shape.front() += 2 * arena_block;
}

int train_with_fault(int argc, char** argv, const Session& session) {
  check(argc == 6, "broken_rank takes 5 arguments");
  const Communicator& world = session.world;
  const LoadedSettings loaded = load_run_settings(world, argv[1], {});
  const RunSettings& settings = loaded.settings;
  Watchdog watchdog(world, static_cast<double>(settings.run.watchdog_s), {});
  const DataSet data = open_data_set(world, settings.data.shards, Verify::never);
  const ProcessGrid grid(world.split(0, world.rank()), grid_shape(world.size(), settings.parallel.data, static_cast<int>(settings.parallel.pipeline)));
  const Parallel parallel(grid, settings.parallel);
  const Compute compute = prepare_compute(settings, grid);
  const ModelCut cut = cut_for(grid, session.log, settings, compute, data, Workload::training, [&] { watchdog.alive(); });
  Network network(settings.model, settings.data.window_tokens, data.catalogue, parallel, cut.first_blocks, {cut.recompute, name_waits(watchdog, grid)});
  const std::string kind = argv[2];
  const bool odd = world.rank() == world.size() - 1;
  const int block = std::atoi(argv[5]);
  const std::size_t number = block >= 0 ? static_cast<std::size_t>(block) : network.model.blocks.size() - static_cast<std::size_t>(-block);
  session.log.once("the fault is in block '{}'", network.model.blocks.at(number).name);
  plant(network.model, number, {kind, std::atoll(argv[3]), std::atoll(argv[4])});
  if (kind == "model" && odd) {
    widen(network.model, number);
    network.layout = lay_out(network.model, cut.first_blocks);
  }
  PlanOptions options = plan_options(settings, network.model);
  if (kind == "batches" && odd) ++options.seed;
  const BatchPlan plan(data.index, network.schema.tasks, options);
  const ReducerChoice choice = choose_reducer("auto", compute.device.type(), grid.shape(), grid.places(), grid.nodes());
  watchdog.progress("compare the plans of all ranks", 0);
  require_equal_plans(world, training_plan(parallel, network, choice, plan, 0));

  GradientReducer reducer(parallel.holding(), network.layout, Reduction::exact, choice, compute.device, settings.optim.sharded);
  const FieldSelection fields = fields_of(data.catalogue.schema, settings.data, parallel.fields(network.model, network.layout), false);
  const Collator collator = make_collator(data, network.schema, settings.data, fields, std::nullopt);
  const auto source = make_source(data, fields);
  Prefetcher batches(plan, data.index, *source, collator, {grid.shape().data, grid.place().data, 0, settings.train.steps});
  Training run;
  run.state.seed = static_cast<std::uint64_t>(settings.train.seed);
  run.parameters = reducer.place_parameters(first_parameters(network.layout, parallel.holding().own(), run.state.seed));
  for (std::size_t i = 0; i < reducer.stages(); ++i) run.adam.push_back(make_adam_state(reducer.updated(i).count));
  const StepTools tools{
      parallel, network, reducer, batches, settings.optim, settings.numerics, settings.model.heads.weight, watchdog, run.state.seed, settings.train.steps};
  Pace pace;
  while (run.state.step < settings.train.steps) {
    const StepRecord record = train_step(tools, run, {}, pace);
    session.log.info("step {} applied {}{}", record.step, record.applied, record.applied ? "" : ", began in " + in_words(record.bad_leaves, record.leaves));
    give_up_when_stuck(record, run.state, settings.train.max_skipped);
  }
  return 0;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  tributary::prepare_process();
  return tributary::run_program(argc, argv, tributary::train_with_fault);
}
