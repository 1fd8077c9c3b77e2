#include <cmath>
#include <nlohmann/json.hpp>

#include "base/config.h"
#include "base/config_value.h"
#include "base/digest.h"
#include "base/error.h"

namespace tributary {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson number_schema(const char* type, const Field& field) {
  OrderedJson json = {{"type", type}};
  if (std::isfinite(field.minimum)) json["minimum"] = field.minimum;
  if (std::isfinite(field.maximum)) json["maximum"] = field.maximum;
  return json;
}

OrderedJson text_schema(const Field& field) {
  OrderedJson json = {{"type", "string"}};
  if (!field.allowed.empty()) json["enum"] = field.allowed;
  return json;
}

OrderedJson list_of(OrderedJson items) { return {{"type", "array"}, {"items", std::move(items)}}; }
OrderedJson map_of(OrderedJson values) { return {{"type", "object"}, {"additionalProperties", std::move(values)}}; }

OrderedJson field_schema(const Field& field) {
  struct Types {
    const Field& field;
    OrderedJson operator()(const bool*) const { return {{"type", "boolean"}}; }
    OrderedJson operator()(const std::int64_t*) const { return number_schema("integer", field); }
    OrderedJson operator()(const double*) const { return number_schema("number", field); }
    OrderedJson operator()(const std::string*) const { return text_schema(field); }
    OrderedJson operator()(const std::vector<std::string>*) const { return list_of(text_schema(field)); }
    OrderedJson operator()(const std::vector<std::int64_t>*) const { return list_of(number_schema("integer", field)); }
    OrderedJson operator()(const std::vector<std::vector<std::string>>*) const { return list_of(list_of(text_schema(field))); }
    OrderedJson operator()(const std::vector<std::vector<std::int64_t>>*) const { return list_of(list_of(number_schema("integer", field))); }
    OrderedJson operator()(const std::map<std::string, double>*) const { return map_of(number_schema("number", field)); }
    OrderedJson operator()(const std::map<std::string, std::string>*) const { return map_of(text_schema(field)); }
  };
  OrderedJson type = std::visit(Types{field}, field.target);
  if (field.none.empty()) return type;
  const bool texts = std::holds_alternative<std::vector<std::string>*>(field.target);
  return {{"anyOf", {std::move(type), texts ? text_schema(field) : OrderedJson{{"const", field.none}}}}};
}

}  // namespace

const std::string& Configuration::origin(const std::string& key) const {
  for (const Group& group : groups_)
    for (const Entry& entry : group.entries)
      if (entry.key == key) return entry.origin;
  fail(ErrorKind::internal, "no configuration key {}", key);
}

std::string Configuration::to_toml(bool with_origin) const {
  std::string text;
  for (const Group& group : groups_) {
    text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", group.name);
    for (const Entry& entry : group.entries)
      text += fmt::format("{} = {}{}\n", entry.field.key, value_toml(entry.field.target), with_origin ? "  # " + entry.origin : "");
  }
  return text;
}

std::string Configuration::to_json() const {
  OrderedJson json = OrderedJson::object();
  for (const Group& group : groups_) {
    OrderedJson& section = json[group.name] = OrderedJson::object();
    for (const Entry& entry : group.entries) section[entry.field.key] = OrderedJson::parse(value_json(entry.field.target));
  }
  return json.dump(2);
}

std::string Configuration::schema_json() const {
  OrderedJson sections = OrderedJson::object();
  for (const Group& group : groups_) {
    OrderedJson properties = OrderedJson::object();
    for (const Entry& entry : group.entries) {
      OrderedJson& property = properties[entry.field.key] = field_schema(entry.field);
      property["default"] = OrderedJson::parse(entry.default_json);
      property["description"] = entry.field.help;
    }
    sections[group.name] = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  }
  const OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                              {"title", "Tributary configuration"},
                              {"type", "object"},
                              {"additionalProperties", false},
                              {"properties", std::move(sections)}};
  return schema.dump(2);
}

std::string Configuration::digest(const std::vector<std::string>& exclude) const {
  std::string text;
  for (const Group& group : groups_)
    for (const Entry& entry : group.entries) {
      bool left_out = false;
      for (const std::string& name : exclude) left_out = left_out || name == entry.key || name == group.name;
      if (!left_out) text += fmt::format("{} = {}\n", entry.key, value_toml(entry.field.target));
    }
  return sha256_hex(text);
}

}  // namespace tributary
