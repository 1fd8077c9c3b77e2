// One field list a configuration struct: parser, help, printout, schema and digest all follow from it.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace tributary {

using FieldTarget =
    std::variant<bool*, std::int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<std::int64_t>*, std::vector<std::vector<std::string>>*,
                 std::vector<std::vector<std::int64_t>>*, std::map<std::string, double>*, std::map<std::string, std::string>*>;

struct Field {
  std::string key;                        // without the section
  FieldTarget target;                     // the member; its value at listing time is the default
  std::string help;                       // one sentence: what, unit, when to change
  std::vector<std::string> allowed = {};  // the only legal strings; empty: any
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::string none = {};  // of a list: a word in its place for the empty one; a list of texts then takes any other word as its only item
};

// A table of the configuration file: [name].
struct Section {
  std::string name;
  std::vector<Field> fields;
};

}  // namespace tributary
