// predictions.csv: what a model said about each record (relation tasks: each pair of concepts), enough to recompute every metric.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shards/schema.h"

namespace tributary {

// record_id,split,task,class,label,probability
[[nodiscard]] std::string predictions_header();

// The lines of one record and one task: binary one line (the positive class), multiclass, multilabel and relation one a class, regression one with an empty
// class. `label`: 1 or 0 (regression: the value), empty where the record has no valid label. Numbers as %.9g, texts quoted after RFC 4180 where needed.
// probability [output_width], label [label_width].
[[nodiscard]] std::string prediction_lines(std::string_view record_id, std::string_view split, const Task& task, std::span<const double> probability,
                                           std::span<const double> label, bool valid);

// What stands for a pair of concepts in the column record_id: "document|head concept|tail concept".
[[nodiscard]] std::string pair_id(std::string_view document, std::string_view head, std::string_view tail);

// The number that a reader of the file gets: rounded to nine digits.
[[nodiscard]] double as_written(double value);

}  // namespace tributary
