// One TOML text and `--set section.key=value` applied to the field lists of the configuration structs; everything else follows from the same lists.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace tributary {

// Keeps pointers into the structs whose fields are listed: they must outlive it and stay where they are.
class Configuration {
 public:
  explicit Configuration(std::vector<Section> sections);  // the members' values now are the defaults

  // Sets the members that `text` names. `file`: how messages call it.
  // Throws: Error{configuration} with one line for each fault: what was expected, what was found, file and line, the nearest known key.
  void apply_text(std::string_view text, const std::string& file);

  // Each assignment is `section.key=value`; the value is read as TOML, for a text field also as a bare word. `section.map.name=value` sets one entry of a map.
  // Throws: Error{configuration} as above.
  void apply_overrides(const std::vector<std::string>& assignments);

  // "default", "file:line" or "--set". Throws: Error{internal} for an unknown key.
  [[nodiscard]] const std::string& origin(const std::string& key) const;

  // The values as TOML in the order of the lists; with_origin: each line ends with a comment that says where its value comes from. Reading the text back
  // gives the same values.
  [[nodiscard]] std::string to_toml(bool with_origin = false) const;
  [[nodiscard]] std::string to_json() const;

  // JSON Schema (2020-12) of the file: types, defaults, limits, allowed values, help.
  [[nodiscard]] std::string schema_json() const;

  // Hex SHA-256 over "section.key = value" lines without those of `exclude`, each "section.key" or a whole "section": equal for equal settings, wherever they
  // came from.
  [[nodiscard]] std::string digest(const std::vector<std::string>& exclude = {}) const;

 private:
  struct Entry {
    Field field;
    std::string key;           // section.key
    std::string default_json;  // value when listed
    std::string origin = "default";
  };
  struct Group {
    std::string name;
    std::vector<Entry> entries;
  };
  [[nodiscard]] Entry* find(const std::string& key);
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] std::optional<std::string> assign_override(const std::string& assignment);

  std::vector<Group> groups_;
};

}  // namespace tributary
