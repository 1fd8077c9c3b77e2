// The pieces of a vocabulary as a double-array trie over their bytes.
// Source: Aoe, "An efficient digital search algorithm by using a double-array structure" (1989).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

class PieceTrie {
 public:
  static constexpr std::int32_t none = -1;
  using Codes = std::array<std::uint8_t, 256>;  // of bytes; 0: in no piece

  struct Match {
    std::int32_t id = none;
    std::size_t size = 0;  // bytes
  };

  // Pieces are numbered as they stand. Throws: Error{data} naming the line of the first that stands twice.
  explicit PieceTrie(std::span<const std::string> pieces);

  [[nodiscard]] std::int32_t root() const { return 0; }
  [[nodiscard]] std::int32_t after(std::string_view prefix) const;  // none where no piece begins so
  [[nodiscard]] const Codes& codes() const { return codes_; }
  [[nodiscard]] Codes codes_in_lower_case() const;  // A to Z have the codes of a to z

  // The longest piece that, less the bytes that led to `from`, begins the text.
  [[nodiscard]] Match longest(std::int32_t from, const char* text, std::size_t size_bytes, const Codes& codes) const {
    Match match;
    std::int32_t state = from;
    for (std::size_t i = 0; i < size_bytes; ++i) {
      const auto next = static_cast<std::size_t>(nodes_[static_cast<std::size_t>(state)].base + codes[static_cast<unsigned char>(text[i])]);
      if (nodes_[next].parent != state) break;
      state = static_cast<std::int32_t>(next);
      if (nodes_[next].id != none) match = {nodes_[next].id, i + 1};
    }
    return match;
  }

 private:
  struct Node {
    std::int32_t base = 0, parent = none, id = none;
  };
  struct Build;
  std::vector<Node> nodes_;
  Codes codes_{};
};

}  // namespace tributary
