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

OwnResults run_leaves(const EvaluationTools& tools, const at::Tensor& parameters, Split split, std::int64_t step) {
  const auto& tasks = tools.network.schema.tasks;
  const BlockList& model = tools.network.model;
  OwnResults own;
  own.scores.resize(model.tasks.size());
  own.counts.resize(model.tasks.size(), 0);
  EvaluationBatches batches(tools.plan, tools.data.index, tools.source, tools.collator, split, tools.comm.size(), tools.comm.rank(), tools.hidden);
  const std::size_t sums = output_number(model, loss_sums_name);
  while (const std::optional<LeafBatch> leaf = batches.next()) {
    tools.watchdog.alive();
    // Denominators do not matter here: only the loss sums are used.
    const LeafContext context{0, step, leaf->leaf, false, std::vector<double>(tasks.size(), 1.0)};
    const LeafOutput output = tools.network.engine.evaluate(parameters, {context, &leaf->batch});
    own.places.insert(own.places.end(), leaf->batch.places.begin(), leaf->batch.places.end());
    append(own.loss_sums, output.outputs[sums]);
    for (std::size_t t = 0; t < model.tasks.size(); ++t) {
      const std::size_t number = model.tasks[t];
      append(own.scores[t].probability, output.outputs[output_number(model, probability_name(tasks[number]))]);
      const LabelTensors& labels = leaf->batch.labels[number];
      append(own.scores[t].label, labels.value);
      const at::Tensor valid = labels.valid.to(at::kByte).contiguous();
      own.scores[t].valid.insert(own.scores[t].valid.end(), valid.data_ptr<std::uint8_t>(), valid.data_ptr<std::uint8_t>() + valid.numel());
      if (tasks[number].kind == TaskKind::relation) append_pairs(leaf->batch, leaf->batch.pairs[number], own.scores[t].pairs);
      own.counts[t] += valid.sum().item<std::int64_t>() * tasks[number].label_width();
    }
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

// Ranks own ascending leaves, so rank order is row order.
void gather_rows(const Communicator& comm, const OwnResults& own, Evaluation& result) {
  std::string bytes;
  pack(bytes, own.places);
  for (const TaskScores& task : own.scores) {
    pack(bytes, task.probability);
    pack(bytes, task.label);
    pack(bytes, task.valid);
    pack(bytes, task.pairs);
  }
  const std::vector<std::string> parts = comm.gather(bytes, 0);
  if (comm.rank() == 0) result.scores.resize(own.scores.size());
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

Evaluation evaluate_split(const EvaluationTools& tools, const at::Tensor& parameters, Split split, std::int64_t step) {
  tools.watchdog.progress("evaluation", step);
  OwnResults own = agreed(tools.comm, [&] { return run_leaves(tools, parameters, split, step); });
  tools.watchdog.progress("sums of the evaluation", step);
  Evaluation result;
  const std::int64_t leaves = tools.plan.evaluation_leaves(split);
  const auto tasks = static_cast<std::int64_t>(tools.network.model.tasks.size());
  tools.comm.sum(std::span(own.counts));
  std::vector<double> sums(own.counts.size(), 0.0);
  if (leaves > 0) sums = reduce_scalars(tools.comm, leaf_bounds(leaves, tools.comm.size()), tasks, own.loss_sums);
  for (std::size_t t = 0; t < sums.size(); ++t)
    result.task_losses.push_back(own.counts[t] > 0 ? std::optional<double>(sums[t] / static_cast<double>(own.counts[t])) : std::nullopt);
  result.loss = total_loss(result.task_losses, tools.network.model, tools.network.schema, tools.task_weights);
  tools.watchdog.progress("gather predictions", step);
  gather_rows(tools.comm, own, result);
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
