#include "metrics/predictions.h"

#include <fmt/core.h>

#include <charconv>

#include "base/error.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

std::string_view class_name(const Task& task, std::size_t output) {
  switch (task.kind) {
    case TaskKind::regression:
      return "";
    case TaskKind::binary:
      return task.classes.at(1);
    default:
      return task.classes.at(output);
  }
}

std::string truth(const Task& task, std::span<const double> label, std::size_t output) {
  if (is_one_class(task.kind)) return fmt::format("{:d}", label[0] == static_cast<double>(output));
  return fmt::format("{:.9g}", label[output]);
}

}  // namespace

std::string predictions_header() { return "record_id,split,task,class,label,probability\n"; }

std::string prediction_lines(std::string_view record_id, std::string_view split, const Task& task, std::span<const double> probability,
                             std::span<const double> label, bool valid) {
  const auto width = static_cast<std::size_t>(task.output_width());
  check(probability.size() == width && label.size() == static_cast<std::size_t>(task.label_width()), "predictions of task {}: {} probabilities, {} labels",
        task.name, probability.size(), label.size());
  const std::string start = fmt::format("{},{},{},", csv_field(record_id), csv_field(split), csv_field(task.name));
  std::string lines;
  for (std::size_t k = 0; k < width; ++k)
    lines += fmt::format("{}{},{},{:.9g}\n", start, csv_field(class_name(task, k)), valid ? truth(task, label, k) : std::string(), probability[k]);
  return lines;
}

std::string pair_id(std::string_view document, std::string_view head, std::string_view tail) { return fmt::format("{}|{}|{}", document, head, tail); }

double as_written(double value) {
  const std::string text = fmt::format("{:.9g}", value);
  double read = value;
  std::from_chars(text.data(), text.data() + text.size(), read);
  return read;
}

}  // namespace tributary
