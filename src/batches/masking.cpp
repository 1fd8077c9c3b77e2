#include "batches/masking.h"

#include <algorithm>

#include "base/error.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

constexpr double becomes_mask = 0.8, becomes_another = 0.1;
constexpr std::uint64_t evaluation_seed = 0, evaluation_epoch = ~std::uint64_t{0};  // an epoch that no training reaches

double share(std::uint32_t bits) { return bits * 0x1.0p-32; }

// The token with this number among those that are not special.
std::int32_t ordinary_token(const MaskingRule& rule, std::uint64_t number) {
  auto token = static_cast<std::int32_t>(number);
  for (const std::int32_t special : rule.special)
    if (special <= token) ++token;
  return token;
}

}  // namespace

MaskingRule masking_rule(const std::vector<std::string>& vocabulary, const TokenizerOptions& options, double fraction) {
  const SpecialTokens named = special_tokens(vocabulary);
  MaskingRule rule{fraction, named.mask, {named.pad, named.unknown, named.cls, named.sep, named.mask}, static_cast<std::int64_t>(vocabulary.size())};
  for (const std::string& token : options.special_tokens) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), token);
    if (found == vocabulary.end()) fail(ErrorKind::data, "vocabulary: no line '{}', which the tokenizer names as a special token; add it", token);
    rule.special.push_back(static_cast<std::int32_t>(found - vocabulary.begin()));
  }
  std::sort(rule.special.begin(), rule.special.end());
  rule.special.erase(std::unique(rule.special.begin(), rule.special.end()), rule.special.end());
  if (rule.tokens == static_cast<std::int64_t>(rule.special.size()))
    fail(ErrorKind::data, "vocabulary: all {} tokens are special, none can stand in the place of another; retokenize the data set", rule.tokens);
  return rule;
}

Key masking_key(const std::optional<TrainingDraws>& training, const RecordPlace& place) {
  const std::uint64_t seed = training ? training->seed : evaluation_seed, epoch = training ? static_cast<std::uint64_t>(training->epoch) : evaluation_epoch;
  return derive_key(Draw::masking, {seed, epoch, static_cast<std::uint64_t>(place.part), static_cast<std::uint64_t>(place.row)});
}

MaskedNote mask_note(const MaskingRule& rule, const Key& key, std::int64_t first, std::span<const std::int32_t> ids) {
  MaskedNote note{{ids.begin(), ids.end()}, {}};
  const auto ordinary = static_cast<std::uint64_t>(rule.tokens) - rule.special.size();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (std::binary_search(rule.special.begin(), rule.special.end(), ids[i])) continue;
    const auto draw = philox(key, static_cast<std::uint64_t>(first) + i);
    if (share(draw[0]) >= rule.fraction) continue;
    note.targets.push_back(static_cast<std::int64_t>(i));
    const double fate = share(draw[1]);
    if (fate < becomes_mask) {
      note.shown[i] = rule.mask;
    } else if (fate < becomes_mask + becomes_another) {
      note.shown[i] = ordinary_token(rule, (draw[2] * ordinary) >> 32U);
    }
  }
  return note;
}

}  // namespace tributary
