#include "batches/token_packing.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <queue>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// Window overhead of a note: two special tokens a window, and what windows share.
std::int64_t window_tokens(std::int64_t note, const WindowShape& shape) {
  const std::int64_t body = shape.tokens - 2;
  if (note <= body) return note + 2;
  const std::int64_t further = (note - body + shape.stride - 1) / shape.stride;
  return note + 2 + further * (2 + body - shape.stride);
}

using Groups = std::vector<std::vector<std::size_t>>;

// Items, longest first, each to the least loaded of `count` groups (equal loads: the earlier one). Nothing where a group of several items exceeds the budget.
std::optional<Groups> deal(const std::vector<std::int64_t>& tokens, const std::vector<std::size_t>& order, std::size_t count, std::int64_t budget) {
  using Load = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (std::size_t g = 0; g < count; ++g) loads.emplace(0, g);
  Groups groups(count);
  for (const std::size_t item : order) {
    auto [load, group] = loads.top();
    loads.pop();
    groups[group].push_back(item);
    load += tokens[item];
    if (load > budget && groups[group].size() > 1) return std::nullopt;
    loads.emplace(load, group);
  }
  return groups;
}

}  // namespace

std::int64_t encoder_tokens(const IndexRow& row, const TokenRules& rules) {
  if (row.notes == 0) return 0;
  const std::int64_t all = row.notes, notes = rules.notes_per_record > 0 ? std::min(all, rules.notes_per_record) : all;
  const auto capped = [&](std::int64_t tokens) { return rules.tokens_per_note > 0 ? std::min(tokens, rules.tokens_per_note) : tokens; };
  const std::int64_t longest = capped(row.longest_note);
  if (notes == 1) return window_tokens(all == 1 ? capped(row.tokens) : longest, rules.windows);
  const std::int64_t others = std::min(static_cast<std::int64_t>(row.tokens) * notes / all, notes * longest) - longest;
  return window_tokens(longest, rules.windows) + std::max<std::int64_t>(0, others) + 2 * (notes - 1);
}

std::int64_t marked_pair_tokens(const IndexRow& row, const EntityCounts& entities, std::int64_t pairs, const TokenRules& rules) {
  TokenRules whole = rules;  // the notes follow each other in one window
  whole.windows.tokens = std::numeric_limits<std::int64_t>::max();
  const std::int64_t kept = rules.notes_per_record > 0 ? std::min<std::int64_t>(row.notes, rules.notes_per_record) : row.notes;
  const std::int64_t text = encoder_tokens(row, whole) - 2 * kept;
  const std::int64_t mentions =
      entities.concepts > 0 ? (2 * std::int64_t{entities.mentions} + entities.concepts - 1) / entities.concepts : 0;  // of two concepts
  return pairs * std::min(rules.windows.tokens, text + 2 * mentions + 2);
}

std::vector<std::vector<std::size_t>> pack_by_tokens(const std::vector<std::int64_t>& tokens, std::int64_t budget) {
  check(budget >= 1, "pack_by_tokens: budget {}", budget);
  if (tokens.empty()) return {};
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tokens[a] > tokens[b]; });
  std::int64_t above = 0, rest = 0;  // records that fill a group alone; tokens of the others
  for (const std::int64_t count : tokens) (count > budget ? above : rest) += count > budget ? 1 : count;
  auto count = static_cast<std::size_t>(std::max<std::int64_t>(1, above + (rest + budget - 1) / budget));
  std::optional<Groups> dealt = deal(tokens, order, count, budget);
  while (!dealt) dealt = deal(tokens, order, ++count, budget);  // ends: one group an item never fails
  Groups groups = std::move(*dealt);
  std::erase_if(groups, [](const auto& group) { return group.empty(); });
  for (auto& group : groups) std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end());
  return groups;
}

}  // namespace tributary
