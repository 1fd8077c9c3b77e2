// Cells of source tables as numbers, times and classes.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ingest/recipe.h"

namespace tributary {

[[nodiscard]] std::optional<double> parse_number(std::string_view text);                     // the whole of it, finite
[[nodiscard]] std::optional<double> parse_minute(std::string_view text, TimeFormat format);  // within +- 1e9

enum class Reading { value, unknown, not_a_number, outside };

struct NumberReading {
  Reading reading = Reading::unknown;
  double value = 0;  // before log1p, which applies to the hour's value
};

[[nodiscard]] NumberReading read_value(const NumberRule& rule, std::string_view text);

[[nodiscard]] int last_category(const std::vector<Category>& categories, std::string_view text);  // -1: none
[[nodiscard]] std::vector<int> all_categories(const std::vector<Category>& categories, std::string_view text);
[[nodiscard]] std::string_view path_prefix(std::string_view path, std::string_view separator, std::int64_t levels);  // 0 levels: all of it

}  // namespace tributary
