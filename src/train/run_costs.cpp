#include "train/run_costs.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/error.h"
#include "batches/row_reader.h"
#include "comm/lone_work.h"
#include "model/registry.h"
#include "train/block_costs.h"
#include "train/evaluator.h"
#include "train/parallel.h"

namespace tributary {
namespace {

constexpr std::int64_t measured_leaves = 4;

std::optional<Split> split_to_measure(const DataSet& data, Workload workload) {
  for (const Split split : all_splits)
    if (data.index.rows(split) > 0 && (workload == Workload::evaluation || split == Split::train)) return split;
  return std::nullopt;
}

std::vector<LeafPlan> leaves_to_measure(const BatchPlan& plan, Split split, Workload workload) {
  if (workload == Workload::training) return plan.leaves(0, {0, std::min(measured_leaves, plan.step(0).leaves)});
  std::vector<LeafPlan> leaves;
  for (std::int64_t leaf = 0; leaf < std::min(measured_leaves, plan.evaluation_leaves(split)); ++leaf) leaves.push_back(plan.evaluation_leaf(split, leaf));
  return leaves;
}

std::vector<Batch> batches_to_measure(const RunSettings& settings, const BlockList& model, const DataSet& data, Workload workload,
                                      const std::function<void()>& alive) {
  const std::optional<Split> split = split_to_measure(data, workload);
  check(split.has_value(), "there are no records to measure blocks on");
  const Schema schema = schema_of_model(settings.model, data.catalogue.schema);
  const BatchPlan plan(data.index, schema.tasks, plan_options(settings, model));
  const FieldSelection fields =
      fields_of(data.catalogue.schema, settings.data, fields_of_stages(model, lay_out(model, {0}), {0}), model.marked_pairs.has_value());
  const Collator collator = make_collator(data, schema, settings.data, fields, model.marked_pairs);
  const auto source = make_source(data, fields);
  RowReader reader(data.index, *source, plan.window_rows());
  const bool cached = !settings.model.text.cache.empty() && data.catalogue.schema.notes && fields.tokens;
  std::vector<Batch> batches;
  for (const LeafPlan& leaf : leaves_to_measure(plan, *split, workload)) {
    Batch& batch = batches.emplace_back(
        collator.collate(reader.read(leaf), workload == Workload::training ? std::optional(TrainingDraws{plan.options().seed, leaf.epoch}) : std::nullopt));
    if (cached && batch.notes.windows() > 0) batch.notes.hidden = made_up_hidden(batch, model, settings.model.text.width);
    if (alive) alive();
  }
  return batches;
}

}  // namespace

std::vector<BlockCost> measure_run(const RunSettings& settings, const BlockList& model, const Compute& compute, const DataSet& data, Workload workload,
                                   const std::function<void()>& alive) {
  const std::vector<Batch> batches = batches_to_measure(settings, model, data, workload, alive);
  const std::vector<double> counts(schema_of_model(settings.model, data.catalogue.schema).tasks.size(), 1.0);  // any denominators do
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < batches.size(); ++i)
    leaves.push_back({{0, 0, static_cast<std::int64_t>(i), workload == Workload::training, counts}, &batches[i]});
  const ParameterLayout layout = make_layout(model.parameters);
  const at::Tensor arena = make_arena(layout, at::kFloat);
  initialise(layout, arena, static_cast<std::uint64_t>(settings.train.seed));
  return measure_blocks(model, arena.to(compute.device, compute.type), leaves, alive);
}

std::vector<BlockCost> no_costs(const BlockList& model) {
  std::vector<BlockCost> costs;
  for (const BlockSpec& block : model.blocks) costs.emplace_back().gives_bytes.resize(block.gives.size());
  return costs;
}

std::vector<BlockCost> measured_by_rank_0(const Communicator& comm, const RunSettings& settings, const BlockList& model, const Compute& compute,
                                          const DataSet& data, Workload workload, const std::function<void()>& alive) {
  std::vector<BlockCost> costs = no_costs(model);
  work_alone(comm, alive, [&](const std::function<void()>& part_done) { costs = measure_run(settings, model, compute, data, workload, part_done); });
  for (BlockCost& cost : costs) {
    for (double* seconds : {&cost.forward_s, &cost.backward_input_s, &cost.backward_weight_s}) comm.broadcast(std::as_writable_bytes(std::span(seconds, 1)), 0);
    comm.broadcast(std::as_writable_bytes(std::span(&cost.activation_bytes, 1)), 0);
    comm.broadcast(std::as_writable_bytes(std::span(cost.gives_bytes)), 0);
  }
  return costs;
}

at::Tensor made_up_hidden(const Batch& batch, const BlockList& model, std::int64_t width) {
  const std::int64_t rows = model.marked_pairs ? batch.pairs.at(*model.marked_pairs).record.size(0) : batch.notes.window_lengths.sum().item<std::int64_t>();
  return at::zeros({rows, width}, at::kFloat);
}

}  // namespace tributary
