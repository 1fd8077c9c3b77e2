#include "base/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/config_value.h"
#include "base/error.h"
#include "base/nearest.h"

namespace tributary {
namespace {

std::optional<std::string> refuse(const Field& field, const std::string& found) { return fmt::format("expected {}, found {}", expectation(field), found); }

// Reads a node as the type of `value`; false when it has another type.
bool read(const toml::node& node, bool& value) {
  if (!node.is_boolean()) return false;
  value = node.as_boolean()->get();
  return true;
}
bool read(const toml::node& node, std::int64_t& value) {
  if (!node.is_integer()) return false;
  value = node.as_integer()->get();
  return true;
}
bool read(const toml::node& node, double& value) {
  if (!node.is_number()) return false;
  value = node.is_integer() ? static_cast<double>(node.as_integer()->get()) : node.as_floating_point()->get();
  return true;
}
bool read(const toml::node& node, std::string& value) {
  if (!node.is_string()) return false;
  value = node.as_string()->get();
  return true;
}
template <class Item>
bool read(const toml::node& node, std::vector<Item>& items) {
  if (!node.is_array()) return false;
  items.clear();
  return std::all_of(node.as_array()->begin(), node.as_array()->end(), [&](const toml::node& child) { return read(child, items.emplace_back()); });
}
template <class Value>
bool read(const toml::node& node, std::map<std::string, Value>& entries) {
  if (!node.is_table()) return false;
  entries.clear();
  for (const auto& [key, child] : *node.as_table())
    if (!read(child, entries[std::string(key.str())])) return false;
  return true;
}

// A word in place of a list.
template <class Value>
bool read_word(const Field&, const toml::node&, Value&) {
  return false;
}
template <class Item>
bool read_word(const Field& field, const toml::node& node, std::vector<Item>& items) {
  if (field.none.empty() || !node.is_string()) return false;
  const std::string& word = node.as_string()->get();
  if (word == field.none) return true;
  if constexpr (std::is_same_v<Item, std::string>) items.push_back(word);
  return !items.empty();
}

bool permitted(const Field& field, double value) { return std::isfinite(value) && value >= field.minimum && value <= field.maximum; }
bool permitted(const Field&, bool) { return true; }
bool permitted(const Field& field, std::int64_t value) { return permitted(field, static_cast<double>(value)); }
bool permitted(const Field& field, const std::string& value) {
  return field.allowed.empty() || std::find(field.allowed.begin(), field.allowed.end(), value) != field.allowed.end();
}
template <class Item>
bool permitted(const Field& field, const std::vector<Item>& items) {
  return std::all_of(items.begin(), items.end(), [&](const Item& item) { return permitted(field, item); });
}
template <class Value>
bool permitted(const Field& field, const std::map<std::string, Value>& entries) {
  return std::all_of(entries.begin(), entries.end(), [&](const auto& entry) { return permitted(field, entry.second); });
}

std::string shown(const toml::node& node) {
  std::ostringstream stream;
  node.visit([&](const auto& value) { stream << value; });
  std::string text = stream.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr std::size_t longest = 80;
  if (text.size() > longest) text = text.substr(0, longest) + " ...";
  return node.is_string() ? fmt::format("the text {}", text) : text;
}

// Sets the field, or says what is wrong and leaves it as it is.
std::optional<std::string> assign(const Field& field, const toml::node& node) {
  return std::visit(
      [&](auto* target) -> std::optional<std::string> {
        std::remove_pointer_t<decltype(target)> value{};
        if ((!read_word(field, node, value) && !read(node, value)) || !permitted(field, value)) return refuse(field, shown(node));
        *target = std::move(value);
        return std::nullopt;
      },
      field.target);
}

// The text as one TOML value, or nothing.
std::optional<toml::table> as_value(const std::string& text) {
  try {
    toml::table table = toml::parse("value = " + text);
    if (table.size() == 1) return table;
  } catch (const toml::parse_error&) {  // a bare word: the caller decides
  }
  return std::nullopt;
}

// The text of an assignment into a field that may take bare words.
std::optional<std::string> assign_text(const Field& field, const std::string& text) {
  const std::optional<toml::table> table = as_value(text);
  const bool takes_text = std::holds_alternative<std::string*>(field.target), bare_word = !table && !text.empty() && !field.none.empty();
  if (bare_word || (takes_text && (!table || !table->get("value")->is_string()))) return assign(field, toml::value<std::string>(text));
  if (!table) return refuse(field, text.empty() ? "nothing" : text);
  return assign(field, *table->get("value"));
}

// One entry of a map field; the others stay.
std::optional<std::string> assign_entry(const Field& field, const std::string& name, const std::string& text) {
  return std::visit(
      [&](auto* target) -> std::optional<std::string> {
        using Type = std::remove_pointer_t<decltype(target)>;
        if constexpr (is_map<Type>::value) {
          typename Type::mapped_type value{};
          Field single = field;
          single.target = &value;
          if (auto fault = assign_text(single, text)) return fault;
          (*target)[name] = std::move(value);
          return std::nullopt;
        } else {
          return refuse(field, fmt::format("an entry called {}", name));
        }
      },
      field.target);
}

std::string suggestion(const std::string& key, const std::vector<std::string>& known) {
  const std::string last = key.substr(key.rfind('.') + 1);
  for (const std::string& candidate : known)
    if (candidate.substr(candidate.rfind('.') + 1) == last) return candidate;
  return nearest(key, known);
}

struct Faults {
  std::vector<std::pair<unsigned, std::string>> lines;
  void add(const toml::node& node, const std::string& file, const std::string& what) {
    const unsigned line = node.source().begin.line;
    lines.emplace_back(line, fmt::format("{}:{}: {}", file, line, what));
  }
  void raise() {
    if (lines.empty()) return;
    std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (const auto& [line, what] : lines) text += (text.empty() ? "" : "\n") + what;
    throw Error(ErrorKind::configuration, text);
  }
};

}  // namespace

Configuration::Configuration(std::vector<Section> sections) {
  for (Section& section : sections) {
    Group& group = groups_.emplace_back(Group{section.name, {}});
    for (Field& field : section.fields) {
      const std::string key = section.name + "." + field.key;
      check(find(key) == nullptr, "configuration key {} is listed twice", key);
      group.entries.push_back({field, key, value_json(field.target)});
    }
  }
}

Configuration::Entry* Configuration::find(const std::string& key) {
  for (Group& group : groups_)
    for (Entry& entry : group.entries)
      if (entry.key == key) return &entry;
  return nullptr;
}

std::vector<std::string> Configuration::keys() const {
  std::vector<std::string> all;
  for (const Group& group : groups_)
    for (const Entry& entry : group.entries) all.push_back(entry.key);
  return all;
}

void Configuration::apply_text(std::string_view text, const std::string& file) {
  toml::table document;
  try {
    document = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::configuration, "{}:{}: not TOML: {}", file, error.source().begin.line, error.description());
  }
  std::vector<std::string> names;
  for (const Group& group : groups_) names.push_back(group.name);
  Faults faults;
  for (const auto& [section, content] : document) {
    const std::string name(section.str());
    const bool known = std::find(names.begin(), names.end(), name) != names.end();
    if (!known && !content.is_table()) {
      faults.add(content, file, fmt::format("key {} stands outside any section; the nearest known key is {}", name, suggestion(name, keys())));
    } else if (!known) {
      faults.add(content, file, fmt::format("unknown section [{}]; the nearest known section is [{}]", name, nearest(name, names)));
    } else if (!content.is_table()) {
      faults.add(content, file, fmt::format("{}: expected a section [{}], found {}", name, name, shown(content)));
    } else {
      for (const auto& [key, value] : *content.as_table()) {
        const std::string full = fmt::format("{}.{}", name, key.str());
        Entry* entry = find(full);
        if (entry == nullptr) {
          faults.add(value, file, fmt::format("unknown key {}; the nearest known key is {}", full, suggestion(full, keys())));
        } else if (const auto fault = assign(entry->field, value)) {
          faults.add(value, file, fmt::format("{}: {}", full, *fault));
        } else {
          entry->origin = fmt::format("{}:{}", file, value.source().begin.line);
        }
      }
    }
  }
  faults.raise();
}

std::optional<std::string> Configuration::assign_override(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos) return "expected section.key=value";
  const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  Entry* entry = find(key);
  std::optional<std::string> fault;
  if (entry != nullptr) {
    fault = assign_text(entry->field, text);
  } else {
    for (const std::string& known : keys())
      if (key.starts_with(known + ".")) entry = find(known);
    if (entry == nullptr) return fmt::format("unknown key {}; the nearest known key is {}", key, suggestion(key, keys()));
    fault = assign_entry(entry->field, key.substr(entry->key.size() + 1), text);
  }
  if (!fault) entry->origin = "--set";
  return fault;
}

void Configuration::apply_overrides(const std::vector<std::string>& assignments) {
  Faults faults;
  for (const std::string& assignment : assignments)
    if (const auto fault = assign_override(assignment)) faults.lines.emplace_back(0, fmt::format("--set {}: {}", assignment, *fault));
  faults.raise();
}

}  // namespace tributary
