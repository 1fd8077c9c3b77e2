// Patterns of recipes: '*' stands for any characters, everything else for itself, letters of either case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tributary {

[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);
[[nodiscard]] bool matches_any(const std::vector<std::string>& patterns, std::string_view text);

[[nodiscard]] std::string lower_case(std::string_view text);              // ASCII letters only
[[nodiscard]] std::string ascii_only(std::string_view text);              // any other byte becomes '?': valid UTF-8 whatever the source's encoding
[[nodiscard]] bool same_letters(std::string_view a, std::string_view b);  // equal but for ASCII case
[[nodiscard]] std::string_view trimmed(std::string_view text);            // without white space at both ends
[[nodiscard]] std::vector<std::string_view> pieces(std::string_view text, std::string_view separator);

}  // namespace tributary
