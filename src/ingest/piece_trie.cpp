#include "ingest/piece_trie.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tributary {
namespace {

constexpr std::size_t most_codes = 256;  // a state's children lie within this many places of its base

}  // namespace

// Places the children of one state after the other. A pending state is a run of sorted pieces that agree in their first bytes.
struct PieceTrie::Build {
  struct Pending {
    std::int32_t state;
    std::size_t begin, end, depth;
  };
  struct Child {
    std::uint8_t code;
    std::size_t begin, end;
  };

  std::span<const std::string> pieces;
  std::vector<std::size_t> order;
  PieceTrie& trie;
  std::size_t first_free = 1;
  std::vector<Child> children;

  void run() {
    std::vector<Pending> pending{{0, 0, order.size(), 0}};
    while (!pending.empty()) {
      const Pending now = pending.back();
      pending.pop_back();
      find_children(now);
      if (children.empty()) continue;
      const std::size_t base = free_base();
      trie.nodes_[static_cast<std::size_t>(now.state)].base = static_cast<std::int32_t>(base);
      for (const Child& child : children) {
        trie.nodes_[base + child.code].parent = now.state;
        pending.push_back({static_cast<std::int32_t>(base + child.code), child.begin, child.end, now.depth + 1});
      }
    }
  }

  void find_children(const Pending& now) {
    children.clear();
    for (std::size_t i = now.begin; i < now.end; ++i) {
      const std::string& piece = pieces[order[i]];
      if (piece.size() == now.depth) {
        trie.nodes_[static_cast<std::size_t>(now.state)].id = static_cast<std::int32_t>(order[i]);
        continue;
      }
      const std::uint8_t code = trie.codes_[static_cast<unsigned char>(piece[now.depth])];
      if (children.empty() || children.back().code != code) children.push_back({code, i, i});
      children.back().end = i + 1;
    }
  }

  // The lowest place from which all children fall on free nodes. Fully taken stretches are never looked at again.
  std::size_t free_base() {
    const auto taken = [this](std::size_t place) { return place < trie.nodes_.size() && trie.nodes_[place].parent != none; };
    while (taken(first_free)) ++first_free;
    std::size_t tried = 0;
    for (std::size_t place = std::max<std::size_t>(first_free, children.front().code + std::size_t{1});; ++place) {
      if (taken(place)) continue;
      const std::size_t base = place - children.front().code;
      if (std::none_of(children.begin(), children.end(), [&](const Child& child) { return taken(base + child.code); })) {
        if (trie.nodes_.size() < base + most_codes) trie.nodes_.resize(base + most_codes);
        return base;
      }
      if (++tried > most_codes) first_free = place;  // what lies before is too ragged to be worth a further look
    }
  }
};

PieceTrie::PieceTrie(std::span<const std::string> pieces) : nodes_(most_codes + 1) {
  std::array<bool, 256> used{};
  for (const std::string& piece : pieces)
    for (const char byte : piece) used[static_cast<unsigned char>(byte)] = true;
  std::uint8_t code = 0;  // of 256 bytes no more than 243 occur in UTF-8
  for (std::size_t byte = 0; byte < used.size(); ++byte)
    if (used[byte]) codes_[byte] = ++code;
  Build build{pieces, std::vector<std::size_t>(pieces.size()), *this, 1, {}};
  std::iota(build.order.begin(), build.order.end(), std::size_t{0});
  std::stable_sort(build.order.begin(), build.order.end(), [&](std::size_t a, std::size_t b) { return pieces[a] < pieces[b]; });
  for (std::size_t i = 1; i < build.order.size(); ++i)
    if (pieces[build.order[i - 1]] == pieces[build.order[i]])
      fail(ErrorKind::data, "vocabulary: line {} repeats '{}'; every token stands once", build.order[i] + 1, pieces[build.order[i]]);
  build.run();
}

std::int32_t PieceTrie::after(std::string_view prefix) const {
  std::int32_t state = root();
  for (const char byte : prefix) {
    const auto next = static_cast<std::size_t>(nodes_[static_cast<std::size_t>(state)].base + codes_[static_cast<unsigned char>(byte)]);
    if (nodes_[next].parent != state) return none;
    state = static_cast<std::int32_t>(next);
  }
  return state;
}

PieceTrie::Codes PieceTrie::codes_in_lower_case() const {
  Codes codes = codes_;
  for (char c = 'A'; c <= 'Z'; ++c) codes[static_cast<unsigned char>(c)] = codes_[static_cast<unsigned char>(c - 'A' + 'a')];
  return codes;
}

}  // namespace tributary
