// Values of configuration fields: from TOML nodes, to TOML and JSON text. Shared by the two files of Configuration.
#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "base/fields.h"

namespace tributary {

template <class Type>
struct is_list : std::false_type {};
template <class Item>
struct is_list<std::vector<Item>> : std::true_type {};
template <class Type>
struct is_map : std::false_type {};
template <class Value>
struct is_map<std::map<std::string, Value>> : std::true_type {};

// TOML text of the value that the target holds now; decimal fractions as the shortest text that reads back to the same bits.
[[nodiscard]] std::string value_toml(const FieldTarget& target);

// The same as JSON text.
[[nodiscard]] std::string value_json(const FieldTarget& target);

// What a field takes, for messages: "a whole number from 1 to 64", "one of "a", "b"", ...
[[nodiscard]] std::string expectation(const Field& field);

}  // namespace tributary
