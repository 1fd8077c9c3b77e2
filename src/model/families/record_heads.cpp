#include "model/families/record_heads.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "model/layers/device.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

std::vector<std::string> names_of(const std::vector<Task>& tasks) {
  std::vector<std::string> names;
  for (const Task& task : tasks) names.push_back(task.name);
  return names;
}

template <class Value>
Value value_or(const std::map<std::string, Value>& values, const std::string& key, Value otherwise) {
  const auto place = values.find(key);
  return place == values.end() ? otherwise : place->second;
}

void require_task(const char* key, const std::string& name, const std::vector<Task>& tasks) {
  const std::vector<std::string> known = names_of(tasks);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail(ErrorKind::configuration, "{}: expected tasks of the data set ({}), found '{}'", key, fmt::join(known, ", "), name);
  }
}

void require_tasks(const HeadsConfig& settings, const std::vector<Task>& tasks) {
  for (const std::string& name : settings.tasks) require_task("heads.tasks", name, tasks);
  for (const auto& [name, weight] : settings.weight) {
    require_task("heads.weight", name, tasks);
    if (weight < 0) fail(ErrorKind::configuration, "heads.weight.{}: expected a number of at least 0, found {}", name, weight);
  }
  for (const auto& [name, loss] : settings.loss) require_task("heads.loss", name, tasks);
  for (const auto& [name, weight] : settings.positive_weight) {
    require_task("heads.positive_weight", name, tasks);
    const auto task = std::find_if(tasks.begin(), tasks.end(), [&](const Task& other) { return other.name == name; });
    if (task->kind != TaskKind::binary && task->kind != TaskKind::multilabel) {
      fail(ErrorKind::configuration, "heads.positive_weight: expected binary and multi-label tasks, found '{}', which is neither", name);
    }
    if (weight <= 0) fail(ErrorKind::configuration, "heads.positive_weight.{}: expected a number above 0, found {}", name, weight);
  }
  for (const auto& [name, weights] : settings.class_weight) require_task("heads.class_weight", name, tasks);
}

// "1, 2.5, 1" -> numbers above 0, one a class.
std::vector<double> class_weights(const std::string& text, const Task& task) {
  std::vector<double> weights;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data();; ++at) {
    while (at != end && *at == ' ') ++at;
    double weight = 0;
    const auto [after, error] = std::from_chars(at, end, weight);
    at = after;
    while (at != end && *at == ' ') ++at;
    if (error != std::errc() || !std::isfinite(weight) || weight <= 0 || (at != end && *at != ',')) {
      fail(ErrorKind::configuration, "heads.class_weight.{}: expected numbers above 0 with commas between them, found \"{}\"", task.name, text);
    }
    weights.push_back(weight);
    if (at == end) break;
  }
  if (weights.size() != task.classes.size()) {
    fail(ErrorKind::configuration, "heads.class_weight.{}: expected {} weights, one a class, found {}", task.name, task.classes.size(), weights.size());
  }
  return weights;
}

// Throws: Error{configuration} when a weight is given that the loss of the task does not use.
LossOptions loss_options(const HeadsConfig& settings, const Task& task) {
  LossOptions options;
  const std::string name = value_or<std::string>(settings.loss, task.name, task.kind == TaskKind::regression ? "squared_error" : "cross_entropy");
  options.kind = loss_kind(name, task.kind);
  options.positive_weight = value_or(settings.positive_weight, task.name, 1.0);
  options.gamma = settings.focal_gamma;
  options.alpha = settings.focal_alpha;
  options.q = settings.gce_q;
  if (settings.positive_weight.contains(task.name) && options.kind != LossKind::cross_entropy) {
    fail(ErrorKind::configuration, "heads.positive_weight.{0} is a weight of the cross entropy, but heads.loss.{0} = \"{1}\"; leave one of the two out{2}",
         task.name, name, options.kind == LossKind::focal ? " (heads.focal_alpha weights the positives of the focal loss)" : "");
  }
  if (const auto weights = settings.class_weight.find(task.name); weights != settings.class_weight.end()) {
    if (!is_one_class(task.kind)) {
      fail(ErrorKind::configuration, "heads.class_weight: expected multi-class and relation tasks, found '{}', which is neither", task.name);
    }
    if (options.kind == LossKind::generalised_cross_entropy) {
      fail(ErrorKind::configuration, "heads.class_weight.{0} is of no use with heads.loss.{0} = \"{1}\"; leave one of the two out", task.name, name);
    }
    options.class_weights = class_weights(weights->second, task);
  }
  return options;
}

// The pooled vector of f~: attention pooling, or the masked mean where global attention is switched off.
struct RecordPooling {
  FusedInput input;
  PoolingLayer pool;
  bool attention = true;
  SequenceLayout layout;

  [[nodiscard]] at::Tensor operator()(const BlockInput& in) const {
    const FusedSequence sequence = input(in);
    const at::Tensor valid = valid_positions(in, layout);
    if (!attention) {
      const at::ScalarType type = sequence.positions.scalar_type();
      const at::Tensor ones = valid.to(ops::accumulation_type(type));
      return sequence.weighted_sum((ones / ones.sum(1, true).clamp_min(1)).to(type));
    }
    const ops::PoolingWeights weights = pool.weights(in);
    const at::Tensor hidden = (sequence.project(weights.w, in.weights) + weights.b).tanh();
    const at::Tensor scores = ops::linear(hidden, weights.v, at::Tensor(), in.weights).squeeze(2);
    return sequence.weighted_sum(ops::masked_softmax(scores, valid));
  }
};

}  // namespace

std::vector<TaskHead> task_heads(const HeadsConfig& settings, const std::vector<Task>& tasks, SequenceMode mode) {
  require_tasks(settings, tasks);
  std::vector<TaskHead> heads;
  std::string relation;  // its name: the parameters of its head are named after no task
  for (std::size_t number = 0; number < tasks.size(); ++number) {
    const Task& task = tasks[number];
    if (!settings.tasks.empty() && std::find(settings.tasks.begin(), settings.tasks.end(), task.name) == settings.tasks.end()) continue;
    if (task.kind == TaskKind::relation) {
      if (mode == SequenceMode::timeline && settings.tasks.empty()) continue;
      if (mode == SequenceMode::timeline) fail(ErrorKind::configuration, "heads.tasks: '{}' is a relation task; it needs model.mode = \"tokens\"", task.name);
      if (!relation.empty())
        fail(ErrorKind::configuration, "heads.tasks: expected at most one relation task, found '{}' and '{}'; name the tasks to train", relation, task.name);
      relation = task.name;
    }
    TaskHead head;
    head.task = number;
    head.weight = value_or(settings.weight, task.name, 1.0);
    head.loss = loss_options(settings, task);
    heads.push_back(head);
  }
  if (heads.empty()) fail(ErrorKind::configuration, "heads.tasks: expected at least one task, and the data set has none that model.mode can predict");
  return heads;
}

double loss_factor(const TaskHead& head, const LeafContext& context) {
  const double count = head.task < context.label_counts.size() ? context.label_counts[head.task] : 0;
  return count > 0 ? head.weight / count : 0;
}

void add_record_heads(BlockList& list, const ModelSettings& settings, const std::vector<Task>& tasks, const std::vector<TaskHead>& heads,
                      const SequenceLayout& layout, const FusedNames& fused, const HeadNames& gives) {
  BlockDraft draft("heads");
  draft.spec.reads = fields_of_positions(layout);
  draft.spec.reads.push_back(BatchField::labels);
  RecordPooling pooling;
  pooling.layout = layout;
  pooling.input = take_fused(draft, fused);
  pooling.attention = settings.use.global_attention;
  if (pooling.attention) pooling.pool = add_pooling(draft, "pool", fused.width);
  draft.spec.gives = {gives.loss, gives.loss_sums};
  std::vector<LinearLayer> layers;
  std::vector<TaskKind> kinds;
  std::vector<std::int64_t> widths;
  for (const TaskHead& head : heads) {
    const Task& task = tasks[head.task];
    layers.push_back(add_linear(draft, "record." + task.name, fused.width, task.output_width()));
    kinds.push_back(task.kind);
    widths.push_back(task.output_width());
    draft.spec.gives.push_back(probability_name(task));
  }
  draft.spec.shapes = [widths](const Batch& batch, const LeafContext&) {
    using Type = TensorShape::Type;
    std::vector<TensorShape> shapes{{{}, true, Type::single}, {{static_cast<std::int64_t>(widths.size())}, false, Type::wide}};
    for (const std::int64_t width : widths) shapes.push_back({{batch.rows(), width}, false, Type::single});
    return shapes;
  };
  add_block(list, std::move(draft), [=, dropout = settings.model.dropout](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor pooled = ops::dropout(pooling(in), dropout, in.draw_key(0), in.context.training);
    at::Tensor loss = at::zeros({}, pooled.options().dtype(ops::accumulation_type(pooled.scalar_type())).requires_grad(false));
    std::vector<at::Tensor> sums, probability;
    for (std::size_t i = 0; i < heads.size(); ++i) {
      const at::Tensor logits = layers[i](pooled, in);
      const LabelTensors& labels = in.batch.labels[heads[i].task];
      const at::Tensor sum = loss_sum(kinds[i], heads[i].loss, logits, labels.value, labels.valid);
      loss = loss + sum * loss_factor(heads[i], in.context);
      sums.push_back(sum.detach().to(at::kDouble));
      probability.push_back(probabilities(kinds[i], heads[i].loss.kind, logits));
    }
    std::vector<at::Tensor> given = {loss, at::stack(sums)};
    given.insert(given.end(), probability.begin(), probability.end());
    return given;
  });
}

}  // namespace tributary
