#include "ingest/toml_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/nearest.h"

namespace tributary {

const toml::node* TomlTable::find(const std::string& key) {
  read_.push_back(key);
  return table_->get(key);
}

void TomlTable::refuse(const std::string& key, const std::string& message) const {
  const toml::node* node = table_->get(key);
  const auto line = node != nullptr ? node->source().begin.line : table_->source().begin.line;
  fail(ErrorKind::configuration, "{}:{}: {}", file_, line, message);
}

std::string TomlTable::one_text(const toml::node& node, const std::string& key) const {
  if (const auto value = node.value_exact<std::string>()) return *value;
  refuse(key, fmt::format("'{}' must be a string", key));
}

std::string TomlTable::text(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) refuse(key, fmt::format("'{}' is missing here", key));
  return one_text(*node, key);
}

std::string TomlTable::text(const std::string& key, const std::string& fallback) {
  const toml::node* node = find(key);
  return node == nullptr ? fallback : one_text(*node, key);
}

double TomlTable::number(const std::string& key, double fallback) {
  const toml::node* node = find(key);
  if (node == nullptr) return fallback;
  if (!node->is_number()) refuse(key, fmt::format("'{}' must be a number", key));
  return *node->value<double>();
}

std::int64_t TomlTable::integer(const std::string& key, std::int64_t fallback) {
  const toml::node* node = find(key);
  if (node == nullptr) return fallback;
  if (!node->is_integer()) refuse(key, fmt::format("'{}' must be a whole number", key));
  return *node->value<std::int64_t>();
}

bool TomlTable::flag(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  if (!node->is_boolean()) refuse(key, fmt::format("'{}' must be true or false", key));
  return *node->value<bool>();
}

std::vector<std::string> TomlTable::texts(const std::string& key) {
  const toml::node* node = find(key);
  std::vector<std::string> result;
  if (node == nullptr) return result;
  if (const auto* array = node->as_array()) {
    for (const toml::node& element : *array) result.push_back(one_text(element, key));
  } else {
    result.push_back(one_text(*node, key));
  }
  return result;
}

std::vector<double> TomlTable::numbers(const std::string& key) {
  const toml::node* node = find(key);
  std::vector<double> result;
  if (node == nullptr) return result;
  if (!node->is_array()) refuse(key, fmt::format("'{}' must be an array of numbers", key));
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_number()) refuse(key, fmt::format("'{}' must be an array of numbers", key));
    result.push_back(*element.value<double>());
  }
  return result;
}

std::vector<std::vector<std::string>> TomlTable::lists(const std::string& key) {
  const toml::node* node = find(key);
  std::vector<std::vector<std::string>> result;
  if (node == nullptr) return result;
  if (!node->is_array()) refuse(key, fmt::format("'{}' must be an array", key));
  for (const toml::node& element : *node->as_array()) {
    auto& list = result.emplace_back();
    if (const auto* inner = element.as_array()) {
      for (const toml::node& word : *inner) list.push_back(one_text(word, key));
    } else {
      list.push_back(one_text(element, key));
    }
    if (list.empty()) refuse(key, fmt::format("'{}' has an empty list", key));
  }
  return result;
}

std::vector<TomlTable> TomlTable::tables(const std::string& key) {
  const toml::node* node = find(key);
  std::vector<TomlTable> result;
  if (node == nullptr) return result;
  if (!node->is_array()) refuse(key, fmt::format("'{}' must be an array of tables", key));
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_table()) refuse(key, fmt::format("'{}' must be an array of tables", key));
    result.emplace_back(*element.as_table(), file_);
  }
  return result;
}

TomlTable TomlTable::table(const std::string& key) {
  const toml::node* node = find(key);
  static const toml::table nothing;
  if (node == nullptr) return {nothing, file_};
  if (!node->is_table()) refuse(key, fmt::format("'{}' must be a table", key));
  return {*node->as_table(), file_};
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, node] : *table_) result.emplace_back(key.str());
  return result;
}

std::size_t TomlTable::choice(const std::string& key, const std::vector<std::string>& names, std::size_t fallback) {
  if (!has(key)) {
    read_.push_back(key);
    return fallback;
  }
  const std::string name = text(key);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) refuse(key, fmt::format("'{}' is '{}'; it can be {}", key, name, fmt::join(names, ", ")));
  return static_cast<std::size_t>(found - names.begin());
}

void TomlTable::finish() const {
  for (const std::string& key : keys())
    if (std::find(read_.begin(), read_.end(), key) == read_.end())
      refuse(key, fmt::format("unknown key '{}'; the nearest one is '{}'", key, nearest(key, read_)));
}

}  // namespace tributary
