// Labels of one record from its events, and label maps fitted on the training records.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ingest/event.h"
#include "ingest/recipe.h"
#include "shards/schema.h"

namespace tributary {

struct Outcome {
  bool valid = false;
  double number = 0;                 // regression
  std::vector<std::string> classes;  // one for binary and multiclass; those that hold for multilabel
};

// `events` are those of one record and one task, sorted.
[[nodiscard]] Outcome outcome_of(const TaskRule& rule, const EventList& list, std::span<const Event> events, double horizon_minutes);

inline constexpr const char* rest_class = "other";

// Classes by descending count, ties alphabetical; multiclass maps end with "other".
[[nodiscard]] std::vector<std::string> fit_label_map(const TaskRule& rule, const std::map<std::string, std::int64_t>& counts);

// Writes a record's label to `values` (task.label_width() of them). Returns whether it is valid: a multiclass value outside the map is "other" where there is
// such a class, else unknown.
[[nodiscard]] bool store_label(const Task& task, const Outcome& outcome, std::span<float> values);

}  // namespace tributary
