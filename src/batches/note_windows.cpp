#include "batches/note_windows.h"

#include <algorithm>

#include "base/error.h"
#include "batches/tensors.h"
#include "shards/record_block.h"

namespace tributary {
namespace {

std::int64_t windows_of(std::int64_t tokens, const WindowShape& shape) {
  const std::int64_t body = shape.tokens - 2;
  return tokens <= body ? 1 : 1 + (tokens - body + shape.stride - 1) / shape.stride;
}

at::Tensor integers(std::int64_t count) { return at::empty({count}, at::kLong); }

struct Totals {
  std::int64_t windows = 0, tokens = 0, length = 0;
};

Totals totals_of(const std::vector<NoteSpan>& notes, const WindowShape& shape) {
  Totals totals;
  for (const NoteSpan& note : notes) {
    check(note.tokens >= 1, "make_note_tensors: a note without tokens");
    totals.windows += windows_of(note.tokens, shape);
    totals.tokens += note.tokens;
    totals.length = std::max(totals.length, std::min(note.tokens + 2, shape.tokens));
  }
  return totals;
}

void fill_windows(const NoteSpan& note, const WindowShape& shape, const SpecialTokens& special, std::int64_t length, std::int64_t* ids, std::int64_t* lengths) {
  const std::int64_t windows = windows_of(note.tokens, shape);
  for (std::int64_t k = 0; k < windows; ++k, ids += length) {
    const std::int64_t start = k * shape.stride, count = std::min(shape.tokens - 2, note.tokens - start);
    ids[0] = special.cls;
    std::copy(note.ids + start, note.ids + start + count, ids + 1);
    ids[count + 1] = special.sep;
    std::fill(ids + count + 2, ids + length, static_cast<std::int64_t>(special.pad));
    lengths[k] = count + 2;
  }
}

// first: flat place of the note's first window.
void fill_positions(const NoteSpan& note, const WindowShape& shape, std::int64_t length, std::int64_t first, std::int64_t* positions) {
  const std::int64_t windows = windows_of(note.tokens, shape), body = shape.tokens - 2;
  if (windows == 1) {
    for (std::int64_t i = 0; i < note.tokens; ++i) positions[i] = first + 1 + i;
    return;
  }
  for (std::int64_t i = 0; i < note.tokens; ++i) {
    std::int64_t best_distance = -1;
    for (std::int64_t k = i < body ? 0 : (i - body) / shape.stride + 1; k <= std::min(i / shape.stride, windows - 1); ++k) {
      const std::int64_t start = k * shape.stride, end = std::min(start + body, note.tokens);
      const std::int64_t distance = std::min(i - start, end - 1 - i);
      if (distance <= best_distance) continue;
      best_distance = distance;
      positions[i] = first + k * length + 1 + i - start;
    }
  }
}

}  // namespace

NoteTensors make_note_tensors(const std::vector<NoteSpan>& notes, const WindowShape& shape, const SpecialTokens& special) {
  const Totals totals = totals_of(notes, shape);
  const auto documents = static_cast<std::int64_t>(notes.size());
  NoteTensors out;
  out.window_ids = at::empty({totals.windows, totals.length}, at::kLong);
  out.window_lengths = integers(totals.windows);
  out.token_position = integers(totals.tokens);
  out.token_sentence = integers(totals.tokens);
  out.document_record = integers(documents);
  out.document_hour = integers(documents);
  std::vector<std::int64_t> sentence_paragraph, paragraph_document;
  std::int64_t window = 0, token = 0;
  for (std::int64_t document = 0; document < documents; ++document) {
    const NoteSpan& note = notes[static_cast<std::size_t>(document)];
    const std::int64_t first = window * totals.length;
    fill_windows(note, shape, special, totals.length, out.window_ids.data_ptr<std::int64_t>() + first, out.window_lengths.data_ptr<std::int64_t>() + window);
    fill_positions(note, shape, totals.length, first, out.token_position.data_ptr<std::int64_t>() + token);
    std::int64_t* sentences = out.token_sentence.data_ptr<std::int64_t>() + token;
    for (std::int64_t i = 0; i < note.tokens; ++i) {
      const bool paragraph = i == 0 || (note.marks[i] & starts_paragraph) != 0;
      if (paragraph) paragraph_document.push_back(document);
      if (paragraph || (note.marks[i] & starts_sentence) != 0) sentence_paragraph.push_back(static_cast<std::int64_t>(paragraph_document.size()) - 1);
      sentences[i] = static_cast<std::int64_t>(sentence_paragraph.size()) - 1;
    }
    out.document_record.data_ptr<std::int64_t>()[document] = note.row;
    out.document_hour.data_ptr<std::int64_t>()[document] = note.hour;
    window += windows_of(note.tokens, shape);
    token += note.tokens;
  }
  out.sentence_paragraph = tensor_of(sentence_paragraph);
  out.paragraph_document = tensor_of(paragraph_document);
  return out;
}

}  // namespace tributary
