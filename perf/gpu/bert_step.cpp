// Steps of masked language modelling of a BERT-base encoder: engine, sums, clipping, loss scale and optimizer as in training, on made-up tokens without
// padding. Usage, under mpirun: perf_gpu_bert_step DEVICE(cpu|cuda) PRECISION(fp32|bf16|fp16) SEQUENCES LENGTH LEAVES STEPS [LAYERS] A step has LEAVES leaves
// of SEQUENCES sequences of LENGTH tokens, dealt to the ranks; 15 % of the tokens are to be told. Rank 0 prints one JSON object.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "model/families/text_mlm.h"
#include "optim/gradient_reducer.h"
#include "optim/loss_scale.h"
#include "pipeline/engine.h"
#include "train/compute.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

constexpr std::int64_t vocabulary = 30522, special = 1000, mask_token = 103;

struct Size {
  std::int64_t sequences, length, leaves;
  [[nodiscard]] std::int64_t masked() const { return sequences * length * 15 / 100; }
};

ModelSettings bert_base(std::int64_t layers) {
  ModelSettings settings;
  settings.model.family = "text_mlm";
  settings.text.layers = layers;
  settings.text.width = 768;
  settings.text.heads = 12;
  settings.text.intermediate = 3072;
  return settings;
}

Batch made_up(const Size& size, std::int64_t step, std::int64_t leaf) {
  Batch batch;
  const at::Tensor place = at::arange(size.sequences * size.length);
  const at::Tensor ids = (place * 7919 + (step * size.leaves + leaf) * 104729).remainder(vocabulary - special) + special;
  const at::Tensor chosen = (at::arange(size.masked()) * (size.sequences * size.length)).div(size.masked(), "floor");
  batch.notes.masked_position = chosen;
  batch.notes.masked_token = ids.index_select(0, chosen);
  batch.notes.window_ids = ids.index_fill(0, chosen, mask_token).view({size.sequences, size.length});
  batch.notes.window_lengths = at::full({size.sequences}, size.length, at::kLong);
  batch.labels.push_back({batch.notes.masked_token.to(at::kFloat).unsqueeze(1), at::ones({size.masked()}, at::kBool)});
  return batch;
}

struct Run {
  const ProcessGrid& grid;
  const Engine& engine;
  GradientReducer& reducer;
  const NumericsConfig& numerics;
  at::ScalarType type;
  std::vector<at::Tensor> parameters;
  std::vector<AdamState> adam;
  LossScale scale;
  std::int64_t skipped = 0;
};

double training_step(Run& run, const Size& size, std::int64_t step) {
  const auto rank = static_cast<std::size_t>(run.grid.place().data);
  const std::vector<std::int64_t> bounds = leaf_bounds(size.leaves, run.grid.shape().data);
  std::vector<Batch> batches;
  for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf) batches.push_back(made_up(size, step, leaf));
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < batches.size(); ++i)
    leaves.push_back(
        {{1, step, bounds[rank] + static_cast<std::int64_t>(i), true, {static_cast<double>(size.leaves * size.masked())}, run.scale.scale}, &batches[i]});
  const std::vector<GradientSink*> sinks = run.reducer.start(bounds);
  const auto outputs = run.engine.run(alone(static_cast<std::int64_t>(leaves.size())), in_type(run.parameters, run.type), leaves, sinks);
  std::vector<double> own;
  for (const LeafOutput& output : outputs) own.push_back(output.outputs[0].item<double>());
  const ReducedGradient gradient = run.reducer.reduce(run.scale.scale);
  const double loss = reduce_scalars(run.grid.data(), bounds, 1, own)[0] / static_cast<double>(size.leaves * size.masked());
  if (gradient.stats.finite)
    run.reducer.update(OptimConfig(), {5e-5, clip_factor(gradient.stats.norm, 1) / run.scale.scale}, gradient, run.adam, run.parameters);
  run.skipped += gradient.stats.finite ? 0 : 1;
  run.scale = next_loss_scale(run.scale, gradient.stats.finite, run.numerics);
  return loss;
}

nlohmann::json measure(const Communicator& world, const RunSettings& settings, const Size& size, std::int64_t steps, std::int64_t layers) {
  const ProcessGrid grid(world.split(0, world.rank()), {world.size(), 1});
  const Compute compute = prepare_compute(settings, grid);
  Schema schema;
  schema.notes = true;
  const BlockList model = text_mlm(bert_base(layers), schema, vocabulary);
  const ModelLayout layout = lay_out(model, {0});
  const Engine engine(model, layout);
  const Holding holding{grid, {0}};
  const ReducerChoice choice = choose_reducer("auto", compute.device.type(), grid.shape(), grid.places(), grid.nodes());
  GradientReducer reducer(holding, layout, Reduction::exact, choice, compute.device, true);
  const at::Tensor whole = make_arena(layout.whole, at::kFloat);
  initialise(layout.whole, whole, 1);
  Run run{
      grid, engine, reducer, settings.numerics, compute.type, reducer.place_parameters({whole.to(compute.device)}), {}, first_loss_scale(settings.numerics)};
  run.adam.push_back(make_adam_state(reducer.updated(0).count, compute.device));
  nlohmann::json result = {{"gpu", compute.gpu},
                           {"precision", settings.numerics.precision},
                           {"parameters", layout.whole.trainable_count()},
                           {"tokens", size.leaves * size.sequences * size.length},
                           {"ranks", world.size()}};
  for (std::int64_t step = 0; step < steps; ++step) {
    world.barrier();
    const Stopwatch watch;
    result["losses"].push_back(training_step(run, size, step));
    if (!compute.device.is_cpu()) at::accelerator::synchronizeDevice(compute.device.index());
    world.barrier();
    result["seconds"].push_back(watch.elapsed_s());
  }
  result["skipped"] = run.skipped;
  result["loss_scale"] = run.scale.scale;
  return result;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc < 7) return 64;
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  MpiRuntime runtime(argc, argv);
  at::set_num_threads(1);
  RunSettings settings;
  settings.run.device = argv[1];
  settings.run.share_gpu = true;
  settings.numerics.precision = argv[2];
  const Communicator world = Communicator::world();
  try {
    const nlohmann::json result =
        measure(world, settings, {std::atoll(argv[3]), std::atoll(argv[4]), std::atoll(argv[5])}, std::atoll(argv[6]), argc > 7 ? std::atoll(argv[7]) : 12);
    if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    abort_all(error.exit_code());
  }
  return 0;
}
