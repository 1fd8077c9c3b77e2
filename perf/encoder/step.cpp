// Fine-tuning steps of a published encoder with a linear head on the mean of the tokens: engine, reduction over ranks, clipping and optimizer as in training.
// Usage, under mpirun: perf_encoder_step FOLDER RECORDS BATCH TOKENS. RECORDS (safetensors): ids [tokens], offsets [records + 1], labels [records], int64.
// A step takes the next BATCH records, packed into leaves of at most TOKENS tokens. Rank 0 prints one JSON object.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "batches/token_packing.h"
#include "checkpoint/serving/encoder_folder.h"
#include "encoder/classifier.h"
#include "optim/adamw.h"
#include "optim/gradient_reducer.h"
#include "pipeline/engine.h"
#include "support/encoder_text.h"
#include "support/golden.h"

namespace tributary {
namespace {

struct Records {
  at::Tensor ids, offsets, labels;
  [[nodiscard]] std::int64_t offset(std::int64_t i) const { return offsets.const_data_ptr<std::int64_t>()[i]; }
  [[nodiscard]] std::int64_t length(std::int64_t i) const { return offset(i + 1) - offset(i); }
};

Batch make_batch(const Records& records, std::int64_t first, const std::vector<std::size_t>& items) {
  const auto count = static_cast<std::int64_t>(items.size());
  std::int64_t longest = 0;
  for (const std::size_t item : items) longest = std::max(longest, records.length(first + static_cast<std::int64_t>(item)));
  Batch batch;
  batch.notes.window_ids = at::zeros({count, longest}, at::kLong);
  batch.notes.window_lengths = at::empty({count}, at::kLong);
  batch.labels.push_back({at::empty({count}, at::kLong), at::ones({count}, at::kBool)});
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t record = first + static_cast<std::int64_t>(items[static_cast<std::size_t>(i)]), length = records.length(record);
    batch.notes.window_ids[i].narrow(0, 0, length).copy_(records.ids.narrow(0, records.offset(record), length));
    batch.notes.window_lengths[i].fill_(length);
    batch.labels[0].value[i].copy_(records.labels[record]);
  }
  return batch;
}

// The leaves of a step and which rank owns which: packed to the budget first, dealt to ranks in ranges afterwards.
struct StepLeaves {
  std::vector<std::vector<std::size_t>> items;  // of each leaf, inside the step
  std::vector<std::int64_t> bounds;             // [ranks + 1]
  std::int64_t tokens = 0;
  double balance = 0;  // mean tokens of a rank over those of the rank with the most
};

StepLeaves leaves_of(const Records& records, std::int64_t first, std::int64_t count, std::int64_t budget, int ranks) {
  std::vector<std::int64_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(records.length(first + i));
  StepLeaves leaves{pack_by_tokens(tokens, budget), {0}};
  std::int64_t most = 0;
  for (int r = 1; r <= ranks; ++r) {
    leaves.bounds.push_back(static_cast<std::int64_t>(leaves.items.size()) * r / ranks);
    std::int64_t load = 0;
    for (std::int64_t leaf = leaves.bounds.end()[-2]; leaf < leaves.bounds.back(); ++leaf)
      for (const std::size_t item : leaves.items[static_cast<std::size_t>(leaf)]) load += tokens[item];
    leaves.tokens += load;
    most = std::max(most, load);
  }
  leaves.balance = static_cast<double>(leaves.tokens) / static_cast<double>(most * ranks);
  return leaves;
}

struct FineTuning {
  const Engine& engine;
  GradientReducer reducer;
  std::vector<at::Tensor> parameters;
  std::vector<AdamState> adam;
};

// Returns the loss of the step.
double fine_tuning_step(const Communicator& comm, FineTuning& run, const Records& records, std::int64_t step, std::int64_t batch_records,
                        const StepLeaves& plan) {
  const auto rank = static_cast<std::size_t>(comm.rank());
  std::vector<Batch> batches;
  for (std::int64_t leaf = plan.bounds[rank]; leaf < plan.bounds[rank + 1]; ++leaf)
    batches.push_back(make_batch(records, step * batch_records, plan.items[static_cast<std::size_t>(leaf)]));
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < batches.size(); ++i)
    leaves.push_back({{1, step, plan.bounds[rank] + static_cast<std::int64_t>(i), true, {static_cast<double>(batch_records)}}, &batches[i]});
  const std::vector<GradientSink*> sinks = run.reducer.start(plan.bounds);
  const auto outputs = run.engine.run(alone(static_cast<std::int64_t>(leaves.size())), run.parameters, leaves, sinks);
  std::vector<double> own;
  for (const LeafOutput& output : outputs) own.push_back(output.outputs[0].item<double>());
  const double loss = reduce_scalars(comm, plan.bounds, 1, own)[0];
  const ReducedGradient gradient = run.reducer.reduce();
  check(gradient.stats.finite, "step {}: the gradient is not finite", step);
  run.reducer.update(OptimConfig(), {2e-5, clip_factor(gradient.stats.norm, 1)}, gradient, run.adam, run.parameters);
  return loss;
}

nlohmann::json run(const Communicator& comm, const std::string& folder, const std::string& input, std::int64_t batch_records, std::int64_t budget) {
  const EncoderArchitecture architecture = encoder_architecture(read_file(folder + "/config.json"), folder);
  const BlockList model = mean_classifier(testing_support::text_of(architecture), architecture.vocabulary);
  const ModelLayout layout = lay_out(model, {0});
  const Engine engine(model, layout);
  const at::Tensor parameters = make_arena(layout.whole, at::kFloat);
  initialise(layout.whole, parameters, 1);
  static_cast<void>(read_encoder(folder, layout.whole, parameters));
  const auto given = testing_support::read_tensors(input);
  const Records records{given.at("ids"), given.at("offsets"), given.at("labels")};
  const ProcessGrid grid(comm.split(0, comm.rank()), {comm.size(), 1});
  const Holding holding{grid, {0}};
  FineTuning tuning{
      engine,
      GradientReducer(holding, layout, Reduction::exact, choose_reducer("auto", at::kCPU, grid.shape(), grid.places(), grid.nodes()), at::kCPU, true),
      {},
      {}};
  tuning.parameters = tuning.reducer.place_parameters({parameters});
  tuning.adam.push_back(make_adam_state(tuning.reducer.updated(0).count));
  nlohmann::json result = {{"seconds", nlohmann::json::array()}, {"losses", nlohmann::json::array()}, {"balance", nlohmann::json::array()}, {"tokens", 0}};
  for (std::int64_t step = 0; (step + 1) * batch_records <= records.labels.size(0); ++step) {
    comm.barrier();
    const Stopwatch watch;
    const StepLeaves plan = leaves_of(records, step * batch_records, batch_records, budget, comm.size());
    result["losses"].push_back(fine_tuning_step(comm, tuning, records, step, batch_records, plan));
    comm.barrier();
    result["seconds"].push_back(watch.elapsed_s());
    result["balance"].push_back(plan.balance);
    result["tokens"] = result["tokens"].get<std::int64_t>() + plan.tokens;
  }
  return result;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc != 5) return 64;
  MpiRuntime runtime(argc, argv);
  at::set_num_threads(1);
  const Communicator world = Communicator::world();
  const nlohmann::json result = run(world, argv[1], argv[2], std::atoll(argv[3]), std::atoll(argv[4]));
  if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  return 0;
}
