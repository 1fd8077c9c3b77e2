#include "ingest/source_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "ingest/pattern.h"

namespace tributary {
namespace {

constexpr double time_limit_minutes = 1e9;

std::optional<double> parse_clock(std::string_view text) {
  const auto parts = pieces(text, ":");
  if (parts.size() != 2) return std::nullopt;
  const auto hours = parse_number(parts[0]), minutes = parse_number(parts[1]);
  if (!hours || !minutes || *minutes < 0 || *minutes >= 60 || *hours < 0) return std::nullopt;
  return *hours * 60 + *minutes;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> parse_minute(std::string_view text, TimeFormat format) {
  std::optional<double> minute = format == TimeFormat::clock ? parse_clock(trimmed(text)) : parse_number(text);
  if (minute && format == TimeFormat::hours) *minute *= 60;
  if (minute && std::abs(*minute) > time_limit_minutes) return std::nullopt;
  return minute;
}

NumberReading read_value(const NumberRule& rule, std::string_view text) {
  text = trimmed(text);
  if (text.empty() || std::any_of(rule.unknown.begin(), rule.unknown.end(), [&](const std::string& unknown) { return same_letters(unknown, text); })) return {};
  for (const auto& [spelling, number] : rule.replace)
    if (same_letters(spelling, text)) text = number;
  const std::optional<double> value = parse_number(text);
  if (!value) return {Reading::not_a_number, 0};
  for (const std::string& unknown : rule.unknown)  // "-1.0" is as unknown as "-1"
    if (parse_number(unknown) == value) return {};
  const double scaled = rule.percent && *value > 0 && *value <= 1 ? *value * 100 : *value;
  if (scaled < rule.lowest || scaled > rule.highest) return {Reading::outside, 0};
  return {Reading::value, scaled};
}

int last_category(const std::vector<Category>& categories, std::string_view text) {
  for (std::size_t i = categories.size(); i-- > 0;)
    if (matches_any(categories[i].patterns, text)) return static_cast<int>(i);
  return -1;
}

std::vector<int> all_categories(const std::vector<Category>& categories, std::string_view text) {
  std::vector<int> result;
  for (std::size_t i = 0; i < categories.size(); ++i)
    if (matches_any(categories[i].patterns, text)) result.push_back(static_cast<int>(i));
  return result;
}

std::string_view path_prefix(std::string_view path, std::string_view separator, std::int64_t levels) {
  std::size_t end = 0;
  for (std::int64_t level = 0; level < levels; ++level) {
    end = path.find(separator, end + (level == 0 ? 0 : separator.size()));
    if (end == std::string_view::npos) return path;
  }
  return levels == 0 ? path : path.substr(0, end);
}

}  // namespace tributary
