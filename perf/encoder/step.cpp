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
#include "model/families/encoder.h"
#include "model/layers/operators.h"
#include "optim/adamw.h"
#include "optim/gradient_tree.h"
#include "optim/norm.h"
#include "pipeline/engine.h"
#include "support/golden.h"

namespace tributary {
namespace {

constexpr std::int64_t classes = 40;

TextConfig text_of(const EncoderArchitecture& found) {
  TextConfig text;
  text.layers = found.layers;
  text.width = found.width;
  text.heads = found.heads;
  text.intermediate = found.intermediate;
  text.positions = found.positions;
  text.type_vocabulary = found.type_vocabulary;
  text.layer_norm_epsilon = found.layer_norm_epsilon;
  return text;
}

BlockList make_model(const TextConfig& text, std::int64_t vocabulary) {
  BlockList list;
  const std::string hidden = add_encoder(list, text, vocabulary);
  list.parameters.push_back({"head.weight", {classes, text.width}, Init::normal, 0.02});
  list.parameters.push_back({"head.bias", {classes}, Init::zeros, 0, false});
  list.blocks.push_back({"head", {BatchField::notes, BatchField::labels}, {hidden}, {loss_name}, {"head.weight", "head.bias"}, [](const BlockInput& in) {
                           const at::Tensor& lengths = in.batch.notes.window_lengths;
                           const at::Tensor record = at::repeat_interleave(lengths);
                           const at::Tensor sums = at::zeros({lengths.size(0), in.taken[0].size(1)}, in.taken[0].options()).index_add(0, record, in.taken[0]);
                           const at::Tensor scores = ops::linear(sums / lengths.unsqueeze(1), in.parameters[0], in.parameters[1], in.weights);
                           return std::vector<at::Tensor>{at::cross_entropy_loss(scores, in.batch.labels[0].value, {}, at::Reduction::Sum) /
                                                          in.context.label_counts[0]};
                         }});
  list.outputs = {loss_name};
  return list;
}

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

nlohmann::json run(const Communicator& comm, const std::string& folder, const std::string& input, std::int64_t batch_records, std::int64_t budget) {
  const EncoderArchitecture architecture = encoder_architecture(read_file(folder + "/config.json"), folder);
  const BlockList model = make_model(text_of(architecture), architecture.vocabulary);
  const ParameterLayout layout = make_layout(model.parameters);
  const Engine engine(model, layout);
  const at::Tensor parameters = make_arena(layout, at::kFloat);
  initialise(layout, parameters, 1);
  static_cast<void>(read_encoder(folder, layout, parameters));
  const auto given = testing_support::read_tensors(input);
  const Records records{given.at("ids"), given.at("offsets"), given.at("labels")};
  GradientTree tree(comm, layout, Reduction::exact);
  AdamState adam = make_adam_state(tree.slices(), comm.rank());
  OptimConfig optim;
  nlohmann::json result = {{"seconds", nlohmann::json::array()}, {"losses", nlohmann::json::array()}, {"balance", nlohmann::json::array()}, {"tokens", 0}};
  for (std::int64_t step = 0; (step + 1) * batch_records <= records.labels.size(0); ++step) {
    comm.barrier();
    const Stopwatch watch;
    const std::int64_t first = step * batch_records;
    std::vector<std::int64_t> tokens;
    for (std::int64_t i = 0; i < batch_records; ++i) tokens.push_back(records.length(first + i));
    const auto groups = pack_by_tokens(tokens, budget);
    std::vector<std::int64_t> bounds{0};
    for (int r = 1; r <= comm.size(); ++r) bounds.push_back(static_cast<std::int64_t>(groups.size()) * r / comm.size());
    const auto rank = static_cast<std::size_t>(comm.rank());
    std::vector<Batch> batches;
    for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf)
      batches.push_back(make_batch(records, first, groups[static_cast<std::size_t>(leaf)]));
    std::vector<Leaf> leaves;
    for (std::size_t i = 0; i < batches.size(); ++i)
      leaves.push_back({{1, step, bounds[rank] + static_cast<std::int64_t>(i), true, {static_cast<double>(batch_records)}}, &batches[i]});
    tree.start(bounds);
    const auto outputs = engine.run(sequential_schedule(static_cast<std::int64_t>(leaves.size())), parameters, leaves, tree);
    const at::Tensor gradient = tree.reduce();
    std::vector<double> own;
    for (const LeafOutput& output : outputs) own.push_back(output.outputs[0].item<double>());
    result["losses"].push_back(reduce_scalars(comm, bounds, 1, own)[0]);
    const GradientStats stats = measure_gradient(comm, tree.slices(), {gradient.data_ptr<float>(), static_cast<std::size_t>(gradient.numel())});
    check(stats.finite, "step {}: the gradient is not finite", step);
    update_slice(layout, optim, {2e-5, clip_factor(stats.norm, 1)}, tree.slices().offsets[rank], gradient, adam, parameters);
    gather_parameters(comm, tree.slices(), parameters);
    comm.barrier();
    result["seconds"].push_back(watch.elapsed_s());
    std::int64_t total = 0, most = 0;
    for (int r = 0; r < comm.size(); ++r) {
      std::int64_t load = 0;
      for (std::int64_t leaf = bounds[static_cast<std::size_t>(r)]; leaf < bounds[static_cast<std::size_t>(r) + 1]; ++leaf)
        for (const std::size_t item : groups[static_cast<std::size_t>(leaf)]) load += tokens[item];
      total += load;
      most = std::max(most, load);
    }
    result["balance"].push_back(static_cast<double>(total) / static_cast<double>(most * comm.size()));
    result["tokens"] = result["tokens"].get<std::int64_t>() + total;
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
