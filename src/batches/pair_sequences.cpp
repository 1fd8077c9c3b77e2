#include "batches/pair_sequences.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// A marker that stands before token `place`.
struct Mark {
  std::int64_t place = 0;
  bool opens = false, tail = false;
  TokenSpan span;
};

// Ends before beginnings; of beginnings the longer mention first, of ends the one that began last; of equal mentions the head's is outside.
auto order_of(const Mark& mark) { return std::tuple(mark.place, mark.opens, mark.opens ? -mark.span.end : -mark.span.begin, mark.opens == mark.tail); }

std::vector<Mark> marks_of(const std::vector<TokenSpan>& heads, const std::vector<TokenSpan>& tails) {
  std::vector<Mark> marks;
  const auto add = [&](const TokenSpan& span, bool tail) {
    marks.push_back({span.begin, true, tail, span});
    marks.push_back({span.end, false, tail, span});
  };
  for (const TokenSpan& span : heads) add(span, false);
  for (const TokenSpan& span : tails) add(span, true);
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return order_of(a) < order_of(b); });
  return marks;
}

// The mentions that a window must hold: of each concept one, as far as it has any.
struct Core {
  std::optional<TokenSpan> head, tail;
};

Core closest(const std::vector<TokenSpan>& heads, const std::vector<TokenSpan>& tails) {
  Core core;
  if (tails.empty() && !heads.empty()) core.head = heads.front();
  if (heads.empty() && !tails.empty()) core.tail = tails.front();
  std::int64_t least = -1;
  for (const TokenSpan& head : heads)
    for (const TokenSpan& tail : tails) {
      const std::int64_t between = std::max<std::int64_t>(0, std::max(head.begin, tail.begin) - std::min(head.end, tail.end));
      if (least >= 0 && between >= least) continue;
      least = between;
      core = {head, tail};
    }
  return core;
}

// [first, last) of `size` marked tokens must be held, as far as it fits.
std::vector<std::int32_t> cut(const std::vector<std::int32_t>& marked, std::int64_t first, std::int64_t last, std::int64_t longest) {
  const auto size = static_cast<std::int64_t>(marked.size());
  if (last - first <= longest) {
    const std::int64_t begin = std::clamp<std::int64_t>(first - (longest - (last - first)) / 2, 0, size - longest);
    return {marked.begin() + begin, marked.begin() + begin + longest};
  }
  std::vector<std::int32_t> ends(marked.begin() + first, marked.begin() + first + (longest + 1) / 2);
  ends.insert(ends.end(), marked.begin() + last - longest / 2, marked.begin() + last);
  return ends;
}

void sort_unique(std::vector<TokenSpan>& spans) {
  std::sort(spans.begin(), spans.end());
  spans.erase(std::unique(spans.begin(), spans.end()), spans.end());
}

std::vector<std::int64_t> numbers(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<std::int64_t>(), whole.const_data_ptr<std::int64_t>() + whole.numel()};
}

// Of each record the tokens of its kept notes, one note after the other.
std::vector<std::vector<std::int32_t>> texts_of(const std::vector<RowRef>& rows, const std::vector<KeptNote>& kept) {
  std::vector<std::vector<std::int32_t>> texts(rows.size());
  for (const KeptNote& note : kept) {
    const RowRef& row = rows[static_cast<std::size_t>(note.record)];
    const NoteColumns& notes = row.block->notes;
    const auto number = static_cast<std::size_t>(notes.note_offsets[static_cast<std::size_t>(row.row)] + note.note);
    const auto begin = notes.token_ids.begin() + notes.token_offsets[number];
    auto& text = texts[static_cast<std::size_t>(note.record)];
    text.insert(text.end(), begin, begin + note.tokens);
  }
  return texts;
}

std::vector<std::vector<TokenSpan>> spans_of_concepts(const MentionTensors& mentions) {
  std::vector<std::vector<TokenSpan>> spans(static_cast<std::size_t>(mentions.concept_record.size(0)));
  const std::vector<std::int64_t> begin = numbers(mentions.token), end = numbers(mentions.end), number = numbers(mentions.concept_number);
  for (std::size_t m = 0; m < number.size(); ++m)
    if (number[m] >= 0) spans[static_cast<std::size_t>(number[m])].push_back({begin[m], end[m]});
  return spans;
}

}  // namespace

const std::vector<std::string>& marker_tokens() {
  static const std::vector<std::string> tokens{"[unused1]", "[unused2]", "[unused3]", "[unused4]"};
  return tokens;
}

PairMarkers pair_markers(const std::vector<std::string>& vocabulary) {
  std::vector<std::int32_t> ids;
  for (const std::string& token : marker_tokens()) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), token);
    if (found == vocabulary.end()) {
      fail(ErrorKind::configuration,
           "model.family = \"text_bert\" marks mentions with {} to {}: expected them in the vocabulary of the data set, found no \"{}\"; published "
           "vocabularies and those of `tributary shards vocab train` hold them, and `tributary shards retokenize` takes such a one",
           marker_tokens().front(), marker_tokens().back(), token);
    }
    ids.push_back(static_cast<std::int32_t>(found - vocabulary.begin()));
  }
  return {ids[0], ids[1], ids[2], ids[3]};
}

std::vector<std::int32_t> mark_pair(std::span<const std::int32_t> text, std::vector<TokenSpan> heads, std::vector<TokenSpan> tails, const PairMarkers& markers,
                                    std::int64_t longest) {
  sort_unique(heads);
  sort_unique(tails);
  const Core core = closest(heads, tails);
  std::vector<std::int32_t> marked;
  std::int64_t first = -1, last = 0, done = 0;  // of the marked tokens that belong to the core
  const auto copy_to = [&](std::int64_t place) {
    marked.insert(marked.end(), text.begin() + done, text.begin() + place);
    done = place;
  };
  for (const Mark& mark : marks_of(heads, tails)) {
    check(mark.place <= static_cast<std::int64_t>(text.size()), "mark_pair: a mention ends at {} of {} tokens", mark.place, text.size());
    copy_to(mark.place);
    const bool held = (mark.tail ? core.tail : core.head) == mark.span;
    if (held && mark.opens && first < 0) first = static_cast<std::int64_t>(marked.size());
    marked.push_back(mark.opens ? (mark.tail ? markers.tail_begin : markers.head_begin) : (mark.tail ? markers.tail_end : markers.head_end));
    if (held && !mark.opens) last = static_cast<std::int64_t>(marked.size());
  }
  copy_to(static_cast<std::int64_t>(text.size()));
  if (static_cast<std::int64_t>(marked.size()) <= longest) return marked;
  return cut(marked, std::max<std::int64_t>(first, 0), last, longest);
}

PairMarking pair_marking(const Catalogue& catalogue, std::size_t task) {
  return {task, pair_markers(catalogue.vocabulary), make_tokenizer(catalogue.vocabulary, catalogue.tokenizer)};
}

NoteTensors make_pair_sequences(const std::vector<RowRef>& rows, const std::vector<KeptNote>& kept, const MentionTensors& mentions, const PairTensors& pairs,
                                const PairMarkers& markers, std::int64_t window_tokens, const SpecialTokens& special) {
  const std::vector<std::vector<std::int32_t>> texts = texts_of(rows, kept);
  const std::vector<std::vector<TokenSpan>> spans = spans_of_concepts(mentions);
  const std::vector<std::int64_t> record = numbers(pairs.record), head = numbers(pairs.head), tail = numbers(pairs.tail);
  std::vector<std::vector<std::int32_t>> sequences;
  std::int64_t length = 0;
  for (std::size_t p = 0; p < record.size(); ++p) {
    const auto spans_at = [&](std::int64_t number) { return spans[static_cast<std::size_t>(number)]; };
    sequences.push_back(mark_pair(texts[static_cast<std::size_t>(record[p])], spans_at(head[p]), spans_at(tail[p]), markers, window_tokens - 2));
    length = std::max(length, static_cast<std::int64_t>(sequences.back().size()) + 2);
  }
  const auto count = static_cast<std::int64_t>(sequences.size());
  NoteTensors out;
  out.window_ids = at::full({count, length}, static_cast<std::int64_t>(special.pad), at::kLong);
  out.window_lengths = at::empty({count}, at::kLong);
  for (std::int64_t p = 0; p < count; ++p) {
    const std::vector<std::int32_t>& sequence = sequences[static_cast<std::size_t>(p)];
    std::int64_t* ids = out.window_ids.data_ptr<std::int64_t>() + p * length;
    *ids++ = special.cls;
    ids = std::copy(sequence.begin(), sequence.end(), ids);
    *ids = special.sep;
    out.window_lengths.data_ptr<std::int64_t>()[p] = static_cast<std::int64_t>(sequence.size()) + 2;
  }
  return out;
}

}  // namespace tributary
