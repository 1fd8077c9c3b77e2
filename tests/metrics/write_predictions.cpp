// Writes predictions.csv and metrics.json of invented predictions with ties, missing labels and a class without positives into the folder given.
#include <fmt/core.h>

#include "base/files.h"
#include "base/key.h"
#include "metrics/predictions.h"
#include "metrics/task_metrics.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

constexpr std::size_t records = 500;

struct Invented {
  std::vector<double> probability, label;
  std::vector<std::uint8_t> valid;
};

Invented invent(const Task& task, std::uint64_t number) {
  const Key key = derive_key(Draw::synth, {number});
  std::uint64_t counter = 0;
  const auto draw = [&] { return uniform(key, counter++); };
  const auto width = static_cast<std::size_t>(task.output_width());
  Invented data;
  for (std::size_t record = 0; record < records; ++record) {
    const bool coarse = record % 3 == 0;  // many equal scores
    double sum = 0;
    std::vector<double> row;
    for (std::size_t k = 0; k < width; ++k) {
      const double value = coarse ? static_cast<double>(static_cast<int>(draw() * 8)) / 8 + 0.0625 : draw();
      row.push_back(static_cast<double>(static_cast<float>(value)));
      sum += row.back();
    }
    if (is_one_class(task.kind))
      for (double& value : row) value = static_cast<double>(static_cast<float>(value / sum));
    data.probability.insert(data.probability.end(), row.begin(), row.end());
    data.valid.push_back(draw() > 0.1);
    // The last class never is the truth of a multi-class task.
    if (task.kind == TaskKind::relation)
      data.label.push_back(draw() < 0.7 ? 0 : 1 + static_cast<double>(static_cast<int>(draw() * static_cast<double>(width - 1))));
    if (task.kind == TaskKind::binary) data.label.push_back(draw() < 0.3 * row[0] + 0.1);
    if (task.kind == TaskKind::multiclass) data.label.push_back(static_cast<double>(static_cast<int>(draw() * static_cast<double>(width - 1))));
    if (task.kind == TaskKind::multilabel)
      for (std::size_t k = 0; k < width; ++k) data.label.push_back(k + 1 < width && draw() < row[k]);
    if (task.kind == TaskKind::regression) data.label.push_back(static_cast<double>(static_cast<float>(row[0] + draw())));
  }
  return data;
}

void write(const std::filesystem::path& folder) {
  const std::vector<Task> tasks = {{"mortality", TaskKind::binary, {"alive", "dead"}},
                                   {"length of stay, classes", TaskKind::multiclass, {"short", "3-7 d", "\"long\"", "never"}},
                                   {"phenotypes", TaskKind::multilabel, {"a", "b", "c", "none"}},
                                   {"nobody", TaskKind::binary, {"no", "yes"}},
                                   {"days", TaskKind::regression, {}},
                                   {"interaction", TaskKind::relation, {"none", "binds", "inhibits"}, {{0, 1}}},
                                   {"unrelated", TaskKind::relation, {"none", "causes"}, {{0, 1}}}};
  std::vector<Invented> data;
  std::vector<TaskMetrics> metrics;
  for (const Task& task : tasks) {
    data.push_back(invent(task, data.size()));
    if (task.name == "nobody" || task.name == "unrelated") std::fill(data.back().label.begin(), data.back().label.end(), 0.0);
    std::vector<double> frequencies;  // other ones than these labels have
    if (task.kind != TaskKind::regression) frequencies.assign(static_cast<std::size_t>(task.output_width()), 0.25);
    metrics.push_back(evaluate_task(task, frequencies, data.back().probability, data.back().label, data.back().valid, true,
                                    task.kind == TaskKind::relation ? std::optional(0.55) : std::nullopt));
  }
  std::string csv = predictions_header();
  for (std::size_t record = 0; record < records; ++record)
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      const auto outputs = static_cast<std::size_t>(tasks[t].output_width()), labels = static_cast<std::size_t>(tasks[t].label_width());
      csv += prediction_lines(fmt::format("record {}, \"{}\"", record, record % 7), "test", tasks[t],
                              std::span<const double>(data[t].probability).subspan(record * outputs, outputs),
                              std::span<const double>(data[t].label).subspan(record * labels, labels), data[t].valid[record] != 0);
    }
  make_directories(folder);
  write_file(folder / "predictions.csv", csv);
  write_file(folder / "metrics.json", metrics_json(metrics));
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  tributary::write(argv[1]);
  return 0;
}
