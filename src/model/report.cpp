#include "model/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tributary {
namespace {

// Modules whose children are parts of their own.
const std::set<std::string> split_modules = {"encoder", "lstm", "cnn", "record", "hierarchy", "drelu"};

std::string part_of(const std::string& name) {
  const std::size_t first = name.find('.');
  const std::string module = name.substr(0, first);
  if (split_modules.count(module) == 0) return module;
  return name.substr(0, name.find('.', first + 1));
}

}  // namespace

std::vector<PartCount> count_parts(const ParameterLayout& layout) {
  std::vector<PartCount> parts;
  for (const ParameterEntry& entry : layout.entries) {
    const std::string part = part_of(entry.spec.name);
    auto place = std::find_if(parts.begin(), parts.end(), [&](const PartCount& other) { return other.part == part; });
    if (place == parts.end()) place = parts.insert(parts.end(), PartCount{part, 0, 0});
    place->parameters += entry.spec.count();
    if (entry.spec.trainable) place->trainable += entry.spec.count();
  }
  return parts;
}

std::string parameter_table(const ParameterLayout& layout) {
  PartCount total{"total", 0, 0};
  std::string table = fmt::format("{:<28} {:>14} {:>14}\n", "part", "parameters", "trainable");
  const auto line = [](const PartCount& part) { return fmt::format("{:<28} {:>14} {:>14}\n", part.part, part.parameters, part.trainable); };
  for (const PartCount& part : count_parts(layout)) {
    table += line(part);
    total.parameters += part.parameters;
    total.trainable += part.trainable;
  }
  return table + line(total);
}

}  // namespace tributary
