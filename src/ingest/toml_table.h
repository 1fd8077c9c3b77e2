// Reads a TOML table key by key and then says which keys nobody asked for.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tributary {

// Keeps a reference to the table: a copy would forget where in the file it stood.
class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string file) : table_(&table), file_(std::move(file)) {}

  // Each throws Error{configuration} naming file and line when the key has another type, or is absent and has no fallback.
  [[nodiscard]] std::string text(const std::string& key);
  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback);
  [[nodiscard]] double number(const std::string& key, double fallback);
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t fallback);
  [[nodiscard]] bool flag(const std::string& key);                                    // false when absent
  [[nodiscard]] std::vector<std::string> texts(const std::string& key);               // empty when absent; a single string is a list of one
  [[nodiscard]] std::vector<double> numbers(const std::string& key);                  // empty when absent
  [[nodiscard]] std::vector<TomlTable> tables(const std::string& key);                // empty when absent
  [[nodiscard]] std::vector<std::vector<std::string>> lists(const std::string& key);  // an array of strings or arrays of strings
  [[nodiscard]] TomlTable table(const std::string& key);                              // an empty one when absent
  [[nodiscard]] std::vector<std::string> keys() const;                                // alphabetical
  [[nodiscard]] bool has(const std::string& key) const { return table_->contains(key); }

  // One of `names`, as its number. Throws: Error{configuration} with the allowed ones.
  [[nodiscard]] std::size_t choice(const std::string& key, const std::vector<std::string>& names, std::size_t fallback);

  // Throws: Error{configuration} for the first key that was not read.
  void finish() const;
  [[noreturn]] void refuse(const std::string& key, const std::string& message) const;  // Error{configuration} at the key's line

 private:
  const toml::node* find(const std::string& key);
  std::string one_text(const toml::node& node, const std::string& key) const;
  const toml::table* table_;
  std::string file_;
  std::vector<std::string> read_;
};

}  // namespace tributary
