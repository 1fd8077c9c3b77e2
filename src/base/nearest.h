// Which of the known names a person probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tributary {

// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
// Source: Damerau-Levenshtein distance, optimal string alignment.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance, the first of equals; empty when there are none.
[[nodiscard]] std::string nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace tributary
