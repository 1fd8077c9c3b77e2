#include "train/evaluator.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "comm/agree.h"
#include "optim/gradient_tree.h"
#include "shards/task_kinds.h"
#include "train/leaf_bounds.h"

namespace tributary {
namespace {

// What one rank found, in leaf order.
struct OwnResults {
  std::vector<RecordPlace> places;
  std::vector<TaskScores> scores;
  std::vector<double> loss_sums;     // [leaves, tasks]
  std::vector<std::int64_t> counts;  // [tasks] valid labels (multilabel: cells)
};

std::size_t output_number(const BlockList& model, const std::string& name) {
  const auto place = std::find(model.outputs.begin(), model.outputs.end(), name);
  check(place != model.outputs.end(), "the model does not put out '{}'", name);
  return static_cast<std::size_t>(place - model.outputs.begin());
}

void append(std::vector<double>& values, const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  values.insert(values.end(), wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel());
}

// Adds which pairs of concepts a relation task's rows are of.
void append_pairs(const Batch& batch, const PairTensors& pairs, std::vector<PairPlace>& places) {
  const auto numbers = [](const at::Tensor& tensor) {
    return std::vector<std::int64_t>(tensor.const_data_ptr<std::int64_t>(), tensor.const_data_ptr<std::int64_t>() + tensor.numel());
  };
  std::vector<std::int64_t> first(batch.places.size() + 1, 0);  // concept of the leaf with which each record begins
  for (const std::int64_t b : numbers(batch.mentions.concept_record)) ++first[static_cast<std::size_t>(b) + 1];
  for (std::size_t b = 1; b < first.size(); ++b) first[b] += first[b - 1];
  const std::vector<std::int64_t> record = numbers(pairs.record.contiguous()), head = numbers(pairs.head.contiguous()), tail = numbers(pairs.tail.contiguous());
  for (std::size_t pair = 0; pair < record.size(); ++pair) {
    const auto b = static_cast<std::size_t>(record[pair]);
    places.push_back({batch.places[b], static_cast<std::int32_t>(head[pair] - first[b]), static_cast<std::int32_t>(tail[pair] - first[b])});
  }
}

// Adds one leaf's outcome, on a rank that holds the last stage.
void append_leaf(const Network& network, const Batch& batch, const LeafOutput& output, OwnResults& own) {
  const BlockList& model = network.model;
  own.places.insert(own.places.end(), batch.places.begin(), batch.places.end());
  append(own.loss_sums, output.outputs[output_number(model, loss_sums_name)]);
  for (std::size_t t = 0; t < model.tasks.size(); ++t) {
    const std::size_t number = model.tasks[t];
    const Task& task = network.schema.tasks[number];
    append(own.scores[t].probability, output.outputs[output_number(model, probability_name(task))]);
    const LabelTensors& labels = batch.labels[number];
    append(own.scores[t].label, labels.value);
    const at::Tensor valid = labels.valid.to(at::kByte).contiguous();
    own.scores[t].valid.insert(own.scores[t].valid.end(), valid.data_ptr<std::uint8_t>(), valid.data_ptr<std::uint8_t>() + valid.numel());
    if (task.kind == TaskKind::relation) append_pairs(batch, batch.pairs[number], own.scores[t].pairs);
    own.counts[t] += valid.sum().item<std::int64_t>() * task.label_width();
  }
}

OwnResults run_leaves(const EvaluationTools& tools, const std::vector<at::Tensor>& parameters, Split split, std::int64_t step) {
  const Network& network = tools.network;
  OwnResults own;
  own.scores.resize(network.model.tasks.size());
  own.counts.resize(network.model.tasks.size(), 0);
  const ProcessGrid& grid = tools.parallel.grid();
  EvaluationBatches batches(tools.plan, tools.data.index, tools.source, tools.collator, split, grid.shape().data, grid.place().data, tools.hidden);
  const auto together = static_cast<std::size_t>(evaluated_together(grid.shape().pipeline));
  for (bool more = true; more;) {
    std::vector<LeafBatch> held;
    while (held.size() < together && more) {
      std::optional<LeafBatch> next = batches.next();
      more = next.has_value();
      if (more) held.push_back(std::move(*next));
    }
    std::vector<Leaf> leaves;
    // Denominators do not matter here: only the loss sums are used.
    for (const LeafBatch& one : held) leaves.push_back({{0, step, one.leaf, false, std::vector<double>(network.schema.tasks.size(), 1.0)}, &one.batch});
    tools.watchdog.alive();
    const auto outputs = network.engine.evaluate(tools.parallel.evaluation(static_cast<std::int64_t>(leaves.size())), parameters, leaves);
    for (std::size_t i = 0; i < outputs.size(); ++i) append_leaf(network, held[i].batch, outputs[i], own);
  }
  return own;
}

template <class Value>
void pack(std::string& bytes, const std::vector<Value>& values) {
  const std::uint64_t count = values.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
  bytes.append(reinterpret_cast<const char*>(values.data()), count * sizeof(Value));
}

template <class Value>
void unpack(std::string_view& bytes, std::vector<Value>& values) {
  std::uint64_t count = 0;
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes.remove_prefix(sizeof count);
  const std::size_t before = values.size();
  values.resize(before + count);
  if (count > 0) std::memcpy(values.data() + before, bytes.data(), count * sizeof(Value));
  bytes.remove_prefix(count * sizeof(Value));
}

// Pipelines own ascending leaves, so their order is row order.
void gather_rows(const ProcessGrid& grid, bool own_outcome, const OwnResults& own, Evaluation& result) {
  std::string bytes;
  if (own_outcome) {
    pack(bytes, own.places);
    for (const TaskScores& task : own.scores) {
      pack(bytes, task.probability);
      pack(bytes, task.label);
      pack(bytes, task.valid);
      pack(bytes, task.pairs);
    }
  }
  const std::vector<std::string> gathered = grid.world().gather(bytes, 0);
  if (grid.world().rank() != 0) return;
  std::vector<std::string_view> parts(static_cast<std::size_t>(grid.shape().data));
  for (std::size_t r = 0; r < gathered.size(); ++r)
    if (!gathered[r].empty()) parts[static_cast<std::size_t>(grid.places()[r].data)] = gathered[r];
  result.scores.resize(own.scores.size());
  for (std::string_view part : parts) {
    unpack(part, result.places);
    for (TaskScores& task : result.scores) {
      unpack(part, task.probability);
      unpack(part, task.label);
      unpack(part, task.valid);
      unpack(part, task.pairs);
    }
  }
}

}  // namespace

void TaskScores::append(const TaskScores& more) {
  probability.insert(probability.end(), more.probability.begin(), more.probability.end());
  label.insert(label.end(), more.label.begin(), more.label.end());
  valid.insert(valid.end(), more.valid.begin(), more.valid.end());
  pairs.insert(pairs.end(), more.pairs.begin(), more.pairs.end());
}

PlanOptions plan_options(const RunSettings& settings, const BlockList& model) {
  const DataConfig& data = settings.data;
  return {static_cast<std::uint64_t>(settings.train.seed),
          settings.train.global_batch,
          settings.train.micro_batch,
          data.window_blocks,
          settings.train.micro_batch_tokens,
          {data.notes_per_record, data.tokens_per_note, {data.window_tokens, data.window_stride}},
          data.negatives,
          model.marked_pairs};
}

std::optional<double> total_loss(const std::vector<std::optional<double>>& task_losses, const BlockList& model, const Schema& schema,
                                 const std::map<std::string, double>& task_weights) {
  std::optional<double> total;
  for (std::size_t t = 0; t < task_losses.size(); ++t) {
    if (!task_losses[t]) continue;
    const auto weight = task_weights.find(schema.tasks[model.tasks[t]].name);
    total = total.value_or(0.0) + (weight == task_weights.end() ? 1.0 : weight->second) * *task_losses[t];
  }
  return total;
}

Evaluation evaluate_split(const EvaluationTools& tools, const std::vector<at::Tensor>& parameters, Split split, std::int64_t step) {
  const ProcessGrid& grid = tools.parallel.grid();
  tools.watchdog.progress("evaluation", step);
  // In a pipeline the others of it wait for the rank that fails, not for its word: its error ends the job.
  OwnResults own =
      grid.shape().pipeline > 1 ? run_leaves(tools, parameters, split, step) : agreed(grid.world(), [&] { return run_leaves(tools, parameters, split, step); });
  tools.watchdog.progress("sums of the evaluation", step);
  Evaluation result;
  const std::int64_t leaves = tools.plan.evaluation_leaves(split);
  const auto tasks = static_cast<std::int64_t>(tools.network.model.tasks.size());
  grid.world().sum(std::span(own.counts));
  std::vector<double> sums(own.counts.size(), 0.0);
  if (leaves > 0 && tools.parallel.holds_last()) sums = reduce_scalars(grid.data(), leaf_bounds(leaves, grid.shape().data), tasks, own.loss_sums);
  tools.parallel.tell(sums);
  for (std::size_t t = 0; t < sums.size(); ++t)
    result.task_losses.push_back(own.counts[t] > 0 ? std::optional<double>(sums[t] / static_cast<double>(own.counts[t])) : std::nullopt);
  result.loss = total_loss(result.task_losses, tools.network.model, tools.network.schema, tools.task_weights);
  tools.watchdog.progress("gather predictions", step);
  gather_rows(grid, tools.parallel.holds_last(), own, result);
  return result;
}

std::vector<TaskMetrics> metrics_of(const Evaluation& evaluation, const Network& network, const Catalogue& catalogue, bool with_intervals,
                                    const std::map<std::string, double>& thresholds) {
  std::vector<TaskMetrics> metrics;
  for (std::size_t t = 0; t < evaluation.scores.size(); ++t) {
    const TaskScores& scores = evaluation.scores[t];
    const std::size_t number = network.model.tasks[t];
    const Task& task = network.schema.tasks[number];
    const std::vector<double> frequencies = is_stored(task.kind) ? training_frequencies(task, catalogue.label_counts[number]) : std::vector<double>();
    const auto threshold = thresholds.find(task.name);
    metrics.push_back(evaluate_task(task, frequencies, scores.probability, scores.label, scores.valid, with_intervals,
                                    threshold == thresholds.end() ? std::nullopt : std::optional(threshold->second)));
  }
  return metrics;
}

}  // namespace tributary
