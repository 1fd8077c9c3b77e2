#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "metrics/task_metrics.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson as_json(const Metric& value) { return value ? OrderedJson(*value) : OrderedJson("undefined"); }

OrderedJson as_json(const NamedMetrics& metrics) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : metrics) json[name] = as_json(value);
  return json;
}

OrderedJson matrix(const std::int64_t* cells, std::size_t width) {
  OrderedJson rows = OrderedJson::array();
  for (std::size_t row = 0; row < width; ++row) rows.push_back(std::vector<std::int64_t>(cells + row * width, cells + (row + 1) * width));
  return rows;
}

OrderedJson confusion(const TaskMetrics& task) {
  if (task.kind == TaskKind::binary) return matrix(task.confusion.data(), 2);
  if (is_one_class(task.kind)) return matrix(task.confusion.data(), task.classes.size());
  OrderedJson json = OrderedJson::object();
  for (std::size_t k = 0; k < task.classes.size(); ++k) json[task.classes[k]] = matrix(task.confusion.data() + 4 * k, 2);
  return json;
}

OrderedJson as_json(const TaskMetrics& task) {
  OrderedJson json = {{"kind", name_of(task.kind)}};
  if (task.kind == TaskKind::masked_token)
    json["tokens"] = task.records;
  else
    json.update({{"records", task.records}, {"missing_labels", task.missing}});
  if (!task.classes.empty()) {
    json["classes"] = task.classes;
    json["positives"] = task.positives;
  }
  json["metrics"] = as_json(task.values);
  if (task.kind == TaskKind::binary && task.with_interval)
    json["auroc_interval_95"] = task.auroc_interval ? OrderedJson({task.auroc_interval->low, task.auroc_interval->high}) : OrderedJson("undefined");
  if (task.kind == TaskKind::relation) json["best_threshold"] = as_json(task.best_threshold);
  if (task.at_threshold) json["at_threshold"] = {{"threshold", task.at_threshold->threshold}, {"metrics", as_json(task.at_threshold->values)}};
  for (std::size_t k = 0; k < task.auroc_by_class.size(); ++k) json["auroc_by_class"][task.classes[k]] = as_json(task.auroc_by_class[k]);
  if (!task.classes.empty()) {
    json["training_frequencies"] = task.training_frequencies;
    json["class_prior"] = as_json(task.class_prior);
    json["confusion"] = confusion(task);
  }
  return json;
}

}  // namespace

std::string shown(const Metric& value) { return value ? fmt::format("{:.4f}", *value) : "undefined"; }

std::string metrics_json(std::span<const TaskMetrics> tasks) {
  OrderedJson by_task = OrderedJson::object();
  for (const TaskMetrics& task : tasks) by_task[task.task] = as_json(task);
  const OrderedJson json = {{"tasks", std::move(by_task)},
                            {"mean", {{"auroc", as_json(mean_over_tasks(tasks, "auroc"))}, {"auprc", as_json(mean_over_tasks(tasks, "auprc"))}}}};
  return json.dump(2);
}

}  // namespace tributary
