#include "base/config_value.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

namespace tributary {
namespace {

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\u{:04X}", byte);
    } else {
      text += c;
    }
  }
  return text + '"';
}

std::string toml_text(bool value) { return value ? "true" : "false"; }
std::string toml_text(std::int64_t value) { return fmt::format("{}", value); }
std::string toml_text(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string toml_key(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
  return bare ? key : toml_text(key);
}

template <class Item>
std::string toml_text(const std::vector<Item>& items) {
  std::vector<std::string> texts;
  for (const Item& item : items) texts.push_back(toml_text(item));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

template <class Value>
std::string toml_text(const std::map<std::string, Value>& entries) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : entries) texts.push_back(toml_key(key) + " = " + toml_text(value));
  return texts.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(texts, ", "));
}

std::string limits(const Field& field) {
  const bool low = std::isfinite(field.minimum), high = std::isfinite(field.maximum);
  if (low && high) return fmt::format(" from {} to {}", field.minimum, field.maximum);
  if (low) return fmt::format(" of at least {}", field.minimum);
  if (high) return fmt::format(" of at most {}", field.maximum);
  return "";
}

std::string text_choice(const Field& field, const char* any) {
  if (field.allowed.empty()) return any;
  std::vector<std::string> quoted;
  for (const std::string& name : field.allowed) quoted.push_back(toml_text(name));
  return fmt::format("one of {}", fmt::join(quoted, ", "));
}

}  // namespace

std::string value_toml(const FieldTarget& target) {
  return std::visit([](const auto* value) { return toml_text(*value); }, target);
}

std::string value_json(const FieldTarget& target) {
  return std::visit([](const auto* value) { return nlohmann::json(*value).dump(); }, target);
}

std::string expectation(const Field& field) {
  struct Words {
    const Field& field;
    std::string operator()(const bool*) const { return "true or false"; }
    std::string operator()(const std::int64_t*) const { return "a whole number" + limits(field); }
    std::string operator()(const double*) const { return "a number" + limits(field); }
    std::string operator()(const std::string*) const { return text_choice(field, "a text in quotes"); }
    std::string operator()(const std::vector<std::string>*) const {
      return text_choice(field, "a list of texts such as [\"a\", \"b\"]") + (field.allowed.empty() ? "" : ", in a list");
    }
    std::string operator()(const std::vector<std::int64_t>*) const { return "a list such as [1, 2] of whole numbers" + limits(field); }
    std::string operator()(const std::vector<std::vector<std::string>>*) const { return "a list of lists of texts such as [[\"a\", \"b\"], [\"c\"]]"; }
    std::string operator()(const std::vector<std::vector<std::int64_t>>*) const {
      return "a list of lists such as [[1, 2], [3, 4]] of whole numbers" + limits(field);
    }
    std::string operator()(const std::map<std::string, double>*) const { return "a table such as { name = 0.5 } of numbers" + limits(field); }
    std::string operator()(const std::map<std::string, std::string>*) const { return "a table such as { name = \"a\" } of texts"; }
  };
  const std::string words = std::visit(Words{field}, field.target);
  if (field.none.empty()) return words;
  return words + (std::holds_alternative<std::vector<std::string>*>(field.target) ? ", or one such text" : "") + fmt::format(", or {}", toml_text(field.none));
}

}  // namespace tributary
