// What a relation task is judged by: decisions over the unique pairs of concepts of each document. Class 0 is "no relation". Specification, paragraph 11.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "metrics/scores.h"

namespace tributary {

using NamedMetrics = std::vector<std::pair<std::string, Metric>>;  // in the order of printing

// Without a threshold the most probable class. With one, a pair is related where 1 - p(class 0) >= threshold, and then of its most probable other class.
// Of equals the lowest. Throws: Error{internal} with less than two classes.
[[nodiscard]] std::vector<std::int64_t> decided_classes(const ClassScores& scores, std::optional<double> threshold = {});

// accuracy; precision, recall and F1, micro and macro, over the classes but class 0; both F1 with class 0 too.
[[nodiscard]] NamedMetrics decision_values(std::span<const std::int64_t> truth, std::span<const std::int64_t> decided, std::int64_t classes);

// decision_values() of the most probable classes, beside ranking (means over the classes but class 0) and calibration.
[[nodiscard]] NamedMetrics relation_values(const ClassScores& scores);

// The threshold with the highest micro F1 without class 0 on these very pairs, half way to the next lower score; of equals the highest. Undefined without a
// related pair.
[[nodiscard]] std::optional<double> best_threshold(const ClassScores& scores);

}  // namespace tributary
