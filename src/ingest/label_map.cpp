#include "ingest/label_map.h"

#include <algorithm>

namespace tributary {
namespace {

std::string class_of(const TaskRule& rule, const EventList& list, const Event& event) {
  if (rule.fitted) return std::string(list.text_of(event));
  if (rule.edges.empty()) return event.value < 0 ? std::string{} : rule.categories[static_cast<std::size_t>(event.value)].name;
  const auto passed = std::upper_bound(rule.edges.begin(), rule.edges.end(), event.value) - rule.edges.begin();
  return rule.categories[static_cast<std::size_t>(passed)].name;
}

Outcome many(const TaskRule& rule, const EventList& list, std::span<const Event> events, double horizon_minutes) {
  Outcome outcome;
  outcome.valid = !events.empty();
  std::map<std::string, bool> before;  // class -> has an event before the prediction hour
  for (const Event& event : events) {  // in order of time
    const std::string name = class_of(rule, list, event);
    if (name.empty()) continue;
    const bool early = event.minute < horizon_minutes;
    const bool was_early = before.try_emplace(name, early).first->second;
    const bool holds = rule.window == Window::any || (!early && (rule.window == Window::after || !was_early));
    if (holds && std::find(outcome.classes.begin(), outcome.classes.end(), name) == outcome.classes.end()) outcome.classes.push_back(name);
  }
  return outcome;
}

const Event& picked(Pick pick, std::span<const Event> events) {
  const auto less = [](const Event& a, const Event& b) { return a.value < b.value; };
  switch (pick) {
    case Pick::first:
      return events.front();
    case Pick::last:
      return events.back();
    case Pick::minimum:
      return *std::min_element(events.begin(), events.end(), less);
    case Pick::maximum:
      return *std::max_element(events.begin(), events.end(), less);
  }
  return events.front();
}

}  // namespace

Outcome outcome_of(const TaskRule& rule, const EventList& list, std::span<const Event> events, double horizon_minutes) {
  if (rule.kind == TaskKind::multilabel) return many(rule, list, events, horizon_minutes);
  Outcome outcome;
  if (events.empty()) return outcome;
  const Event& event = picked(rule.pick, events);
  outcome.valid = true;
  outcome.number = event.value;
  if (rule.kind != TaskKind::regression) outcome.classes = {class_of(rule, list, event)};
  return outcome;
}

std::vector<std::string> fit_label_map(const TaskRule& rule, const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::pair<std::string, std::int64_t>> frequent;
  for (const auto& [name, count] : counts)
    if (count >= rule.minimum_count && name != rest_class) frequent.emplace_back(name, count);
  std::stable_sort(frequent.begin(), frequent.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (rule.top > 0 && frequent.size() > static_cast<std::size_t>(rule.top)) frequent.resize(static_cast<std::size_t>(rule.top));
  std::vector<std::string> classes;
  for (const auto& [name, count] : frequent) classes.push_back(name);
  if (rule.kind == TaskKind::multiclass) classes.emplace_back(rest_class);
  return classes;
}

bool store_label(const Task& task, const Outcome& outcome, std::span<float> values) {
  if (!outcome.valid) return false;
  if (task.kind == TaskKind::regression) {
    values[0] = static_cast<float>(outcome.number);
    return true;
  }
  const auto place = [&](const std::string& name) { return std::find(task.classes.begin(), task.classes.end(), name) - task.classes.begin(); };
  const auto count = static_cast<std::ptrdiff_t>(task.classes.size());
  if (task.kind == TaskKind::multilabel) {
    for (const std::string& name : outcome.classes)
      if (place(name) < count) values[static_cast<std::size_t>(place(name))] = 1;
    return true;
  }
  auto found = place(outcome.classes.front());
  if (found == count) found = place(rest_class);
  if (found == count) return false;
  values[0] = static_cast<float>(found);
  return true;
}

}  // namespace tributary
